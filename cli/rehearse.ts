import { randomInt } from 'node:crypto';
import type { Command } from 'commander';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { openFolder } from './folder.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { json } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';
import type { RehearsalResult } from './rehearsal.ts';
import { fileTarget, folderTarget } from './rehearsaltarget.ts';
import { untilStopped } from './signals.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options extends PlaceOptions, JsonOptions {
  readonly target?: string;
  readonly students?: number;
  readonly seconds: number;
  readonly events: number;
  readonly kills: number;
  readonly seed?: number;
  readonly ledger?: string;
  readonly url?: string;
}

/** `untradex rehearse`: realistic students against a running session that is marked as a rehearsal. */
export function registerRehearse(program: Command): void {
  const command = placeOptions(program.command('rehearse'))
    .summary('play realistic students against a running rehearsal')
    .description(
      'Plays realistic students against a running session that is marked `rehearsal: true`, and against no other: ' +
        'a start storm, answers, reloads, broken connections, a late tail, Finish.',
    )
    .argument('<name>', 'the session')
    .option('--target <file>', 'instead of --data: JSON that says where the session is, as Jobs in a cluster get it')
    .option('--students <n>', "students (default: the session's)", wholeNumber(1, 20_000))
    .option('--seconds <n>', 'how long they answer', wholeNumber(1, 86_400), 60)
    .option('--events <n>', 'answers of each student', wholeNumber(1, 20_000), 25)
    .option('--kills <n>', 'kill so many gateways and Redis with SIGKILL meanwhile', wholeNumber(0, 1_000), 0)
    .option('--seed <n>', 'repeat the same schedule of students and kills', wholeNumber(0, 2 ** 31))
    .option(
      '--ledger <file>',
      'append what the students saw acknowledged, NDJSON, for `untradex verify --ledger`; - is stdout',
    )
    .option('--url <url>', 'where the students connect, such as https://host/exam (default: as the status says)');
  jsonOption(command, 'print the result as JSON').action(async (name: string, options: Options) => {
    process.exitCode = await untilStopped((signal) => rehearse(name, options, signal));
  });
  examples(command, [
    'untradex rehearse algebra --data exam',
    'untradex rehearse algebra --data exam --students 4000 --seconds 60 --events 25 --ledger ledger.ndjson',
    'untradex rehearse algebra --data exam --kills 4',
    'kubectl untradex rehearse algebra -n maths --students 500 --ledger ledger.ndjson',
  ]);
}

/** @returns the exit code: 0 when every answer was acknowledged and every student holds a receipt */
async function rehearse(name: string, options: Options, signal: AbortSignal): Promise<number> {
  const { isComplete, showRehearsal } = await import('./rehearsal.ts');
  const onCluster = options.target === undefined && isOnCluster(options);
  const result = await (onCluster ? playOnCluster : playHere)(name, options, signal);
  if (isJson(options)) json(result);
  else showRehearsal(result);
  return isComplete(result) ? exitCodes.ok : exitCodes.failed;
}

async function playHere(name: string, options: Options, signal: AbortSignal): Promise<RehearsalResult> {
  const { data, target: file, url } = options;
  const target = file === undefined ? await folderTarget(await openFolder(data!, name), url) : fileTarget(file, url);
  const { playRehearsal } = await import('./rehearsal.ts');
  return playRehearsal(target, {
    students: options.students ?? target.students,
    durationMs: options.seconds * 1000,
    events: options.events,
    kills: options.kills,
    seed: options.seed ?? randomInt(2 ** 31),
    ledger: options.ledger,
    signal,
  });
}

async function playOnCluster(name: string, options: Options, signal: AbortSignal): Promise<RehearsalResult> {
  if (options.kills > 0) {
    throw problem('usage', '--kills is for a session on this machine', 'delete pods with kubectl meanwhile');
  }
  const { openClusterPlace } = await import('./cluster/clusterplace.ts');
  const { rehearseInCluster } = await import('./cluster/rehearsejob.ts');
  const { students, seconds, events, seed = randomInt(2 ** 31), url, ledger } = options;
  const place = await openClusterPlace(options, name);
  return rehearseInCluster(place, { students, seconds, events, seed, url, ledger, signal });
}
