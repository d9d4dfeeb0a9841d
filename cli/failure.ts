import { CommanderError } from 'commander';
import { isProblem } from '#queue/problem.ts';
import { exitCodeOf } from './exitcodes.ts';
import { note, paint } from './output.ts';
import { programName } from './plugin.ts';

/** What a person reads on stderr when a command fails: `code: message`, then what to do about it. */
export function describeFailure(error: unknown, command: string | undefined): string[] {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '').trimEnd();
    return [
      `usage: ${message}`,
      `remedy: ${[programName(), command, '--help'].filter(Boolean).join(' ')} shows what it takes`,
    ];
  }
  if (isProblem(error)) {
    return [`${error.code}: ${error.message}`, ...error.remedy.split('\n').map((text) => `remedy: ${text}`)];
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [`defect: ${text}`, 'remedy: this is a defect of Untradex; report it with the lines above'];
}

/**
 * Ends a command that failed: says why on stderr and sets the process's exit code.
 * Help and --version end through here too, in silence, since commander throws for them.
 */
export function fail(error: unknown, command: string | undefined): void {
  process.exitCode = exitCodeOf(error);
  const helpWasShown = error instanceof CommanderError && error.code === 'commander.help';
  if (process.exitCode === 0 || helpWasShown) return;
  const [first = '', ...rest] = describeFailure(error, command);
  note(paint('red', first, process.stderr));
  for (const text of rest) note(text);
}
