import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface CommandOptions {
  /** For its stdin, which is empty otherwise. */
  readonly input?: string;
  /** The whole environment; this process' own when left out. */
  readonly env?: NodeJS.ProcessEnv;
  /** It is killed after that long; 60,000 when left out. */
  readonly timeoutMs?: number;
}

export interface Ended {
  /** Null when a signal ended it, as after `timeoutMs`. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Rejects only when it cannot be started. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const { input = '', env = process.env, timeoutMs = 60_000 } = options;
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env, timeout: timeoutMs, killSignal: 'SIGKILL' });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  child.stdin.on('error', () => {}); // It may end before it has read everything; its exit code tells.
  child.stdin.end(input);
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

/** Runs a program that must succeed, and resolves with its stdout. Rejects with the end of its stderr. */
export async function mustRun(argv: readonly string[], options?: CommandOptions): Promise<string> {
  const { code, stdout, stderr } = await runCommand(argv, options);
  if (code === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${code ?? 'a signal'}: ${(stderr || stdout).trim().slice(-1_000)}`);
}
