import type { Command } from 'commander';
import { durationOption } from './duration.ts';
import { examples } from './examples.ts';
import { exitCodeOfSignal, exitCodes } from './exitcodes.ts';
import { startExportProgress } from './exportprogress.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { count, json, line, note, paint } from './output.ts';
import { openPlace, type Place, type PlaceOptions, type PlaceStatus, placeOptions } from './place.ts';
import { programName } from './plugin.ts';
import { listenForStop } from './signals.ts';
import { complaints, holds } from './statusfile.ts';

interface Options extends PlaceOptions, JsonOptions {
  readonly wait?: true;
  readonly timeout: number;
}

/** `untradex finalize`: ends the exam. The running session sees the changed file, seals, exports and verifies. */
export function registerFinalize(program: Command): void {
  const command = placeOptions(program.command('finalize'))
    .summary('end the exam: seal, export, verify')
    .description(
      "Ends the exam: sets the session's spec.phase to Finalizing, so that it is sealed, exported and verified.",
    )
    .argument('<name>', 'the session')
    .option('--wait', 'wait for the verdict: exit 0 Verified, 1 Failed, 2 when --timeout is over')
    .addOption(durationOption('--timeout <duration>', 'how long --wait waits', '10m'));
  jsonOption(command, 'print the status as JSON').action(async (name: string, options: Options) => {
    process.exitCode = await finalize(await openPlace(options, name), options);
  });
  examples(command, [
    'untradex finalize algebra --data exam',
    'untradex finalize algebra --data exam --wait --timeout 30m',
    'kubectl untradex finalize algebra -n maths --wait',
  ]);
}

async function finalize(place: Place, options: Options): Promise<number> {
  const changed = await place.finalize();
  const { name } = place.session.metadata;
  if (options.wait === undefined) {
    if (isJson(options)) json({ name, phase: 'Finalizing', changed });
    else line(changed ? `${name} is asked to finalize` : `${name} was asked to finalize before`);
    return exitCodes.ok;
  }
  return waitForVerdict(place, options);
}

/** When nothing changed for so long, perhaps nobody is at work. */
const quietMs = 10_000;

async function waitForVerdict(place: Place, options: Options): Promise<number> {
  const asJson = isJson(options);
  const stop = listenForStop();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(options.timeout)]);
  const progress = startExportProgress();
  const quiet = setTimeout(() => {
    const hint = place.idle();
    if (hint !== null) progress.say(hint);
  }, quietMs);
  let last: PlaceStatus | undefined;
  try {
    for await (const status of place.followStatus(signal)) {
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
  return judge(place, last, asJson, stop.by);
}

function isOver(status: PlaceStatus): boolean {
  return status.phase === 'Failed' || holds(status, 'Verified');
}

function judge(
  place: Place,
  status: PlaceStatus | undefined,
  quiet: boolean,
  stoppedBy: 'SIGINT' | 'SIGTERM' | undefined,
): number {
  const { name } = place.session.metadata;
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
  note(`remedy: see ${programName()} status ${place.words}, or wait longer with --timeout`);
  return exitCodes.timeout;
}
