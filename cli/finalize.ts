import type { Command } from 'commander';
import { isFolderInUse } from '#operator/local/lock.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import { durationOption } from './duration.ts';
import { examples } from './examples.ts';
import { exitCodeOfSignal, exitCodes } from './exitcodes.ts';
import { startExportProgress } from './exportprogress.ts';
import { type Folder, openFolder } from './folder.ts';
import { count, json, line, note, paint } from './output.ts';
import { setSessionField } from './sessionfile.ts';
import { listenForStop } from './signals.ts';
import { complaints, followStatus, holds } from './statusfile.ts';

interface Options {
  readonly data: string;
  readonly wait?: true;
  readonly timeout: number;
  readonly json?: true;
}

/** `untradex finalize`: ends the exam. The running session sees the changed file, seals, exports and verifies. */
export function registerFinalize(program: Command): void {
  const command = program
    .command('finalize')
    .summary('end the exam: seal, export, verify')
    .description(
      "Ends the exam: sets the session's spec.phase to Finalizing, so that it is sealed, exported and verified.",
    )
    .argument('<name>', 'the session')
    .requiredOption('--data <dir>', "the session's data folder")
    .option('--wait', 'wait for the verdict: exit 0 Verified, 1 Failed, 2 when --timeout is over')
    .addOption(durationOption('--timeout <duration>', 'how long --wait waits', '10m'))
    .option('--json', 'print the status as JSON')
    .action(async (name: string, options: Options) => {
      process.exitCode = await finalize(await openFolder(options.data, name), options);
    });
  examples(command, [
    'untradex finalize algebra --data exam',
    'untradex finalize algebra --data exam --wait --timeout 30m',
  ]);
}

async function finalize(folder: Folder, options: Options): Promise<number> {
  const changed = await setSessionField(folder.at.session, ['spec', 'phase'], 'Finalizing');
  const { name } = folder.session.metadata;
  if (options.wait === undefined) {
    if (options.json) json({ name, phase: 'Finalizing', changed });
    else line(changed ? `${name} is asked to finalize` : `${name} was asked to finalize before`);
    return exitCodes.ok;
  }
  return waitForVerdict(folder, options);
}

/** When nothing changed for so long, perhaps nobody is at work. */
const quietMs = 10_000;

async function waitForVerdict(folder: Folder, { timeout, json: asJson }: Options): Promise<number> {
  const stop = listenForStop();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeout)]);
  const progress = startExportProgress();
  const hint = `nobody runs this session: start \`untradex run --data ${folder.at.root}\``;
  const quiet = setTimeout(() => {
    if (!isFolderInUse(folder.at)) progress.say(hint);
  }, quietMs);
  let last: LocalStatus | undefined;
  try {
    for await (const status of followStatus(folder, signal)) {
      quiet.refresh();
      if (status.phase !== last?.phase) progress.say(paint('dim', status.phase, process.stderr));
      last = status;
      progress.show(status);
      if (isOver(status)) break;
    }
  } finally {
    clearTimeout(quiet);
    progress.stop();
    stop.release();
  }
  if (asJson) json(last ?? null);
  return judge(folder, last, asJson === true, stop.by);
}

function isOver(status: LocalStatus): boolean {
  return status.phase === 'Failed' || holds(status, 'Verified');
}

function judge(
  folder: Folder,
  status: LocalStatus | undefined,
  quiet: boolean,
  stoppedBy: 'SIGINT' | 'SIGTERM' | undefined,
): number {
  const { name } = folder.session.metadata;
  if (status !== undefined && holds(status, 'Verified')) {
    if (!quiet)
      line(
        `${paint('green', 'VERIFIED')} ${name}: ${count(status.events.exported)} events exported, root ${status.redis.root}`,
      );
    return exitCodes.ok;
  }
  for (const text of status === undefined ? [] : complaints(status)) note(text);
  if (status?.phase === 'Failed') {
    note(`failed: ${name} cannot be finished by itself`);
    note('remedy: mend what the lines above say; the session then goes on');
    return exitCodes.failed;
  }
  if (stoppedBy !== undefined) return exitCodeOfSignal(stoppedBy);
  note(`timeout: ${name} is ${status?.phase ?? 'not running'} and not verified yet; it stays asked to finalize`);
  note(`remedy: see untradex status ${name} --data ${folder.at.root}, or wait longer with --timeout`);
  return exitCodes.timeout;
}
