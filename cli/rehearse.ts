import { randomInt } from 'node:crypto';
import type { Command } from 'commander';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { exitCodeOfSignal, exitCodes } from './exitcodes.ts';
import { type Folder, openFolder } from './folder.ts';
import { livePids } from './livepids.ts';
import { json } from './output.ts';
import { listenForStop } from './signals.ts';
import { readStatus } from './statusfile.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options {
  readonly data: string;
  readonly students?: number;
  readonly seconds: number;
  readonly events: number;
  readonly kills: number;
  readonly seed?: number;
  readonly ledger?: string;
  readonly url?: string;
  readonly json?: true;
}

/** `untradex rehearse`: realistic students against a running session that is marked as a rehearsal. */
export function registerRehearse(program: Command): void {
  const command = program
    .command('rehearse')
    .summary('play realistic students against a running rehearsal')
    .description(
      'Plays realistic students against a running session that is marked `rehearsal: true`, and against no other: ' +
        'a start storm, answers, reloads, broken connections, a late tail, Finish.',
    )
    .argument('<name>', 'the session')
    .requiredOption('--data <dir>', "the session's data folder")
    .option('--students <n>', "students (default: the session's)", wholeNumber(1, 20_000))
    .option('--seconds <n>', 'how long they answer', wholeNumber(1, 86_400), 60)
    .option('--events <n>', 'answers of each student', wholeNumber(1, 20_000), 25)
    .option('--kills <n>', 'kill so many gateways and Redis with SIGKILL meanwhile', wholeNumber(0, 1_000), 0)
    .option('--seed <n>', 'repeat the same schedule of students and kills', wholeNumber(0, 2 ** 31))
    .option('--ledger <file>', 'append what the students saw acknowledged, NDJSON, for `untradex verify --ledger`')
    .option('--url <url>', 'where the students connect, such as https://host/exam (default: as the status says)')
    .option('--json', 'print the result as JSON')
    .action(async (name: string, options: Options) => {
      process.exitCode = await rehearse(await openFolder(options.data, name), options);
    });
  examples(command, [
    'untradex rehearse algebra --data exam',
    'untradex rehearse algebra --data exam --students 4000 --seconds 60 --events 25 --ledger ledger.ndjson',
    'untradex rehearse algebra --data exam --kills 4',
  ]);
}

/** @returns the exit code: 0 when every answer was acknowledged and every student holds a receipt */
async function rehearse(folder: Folder, options: Options): Promise<number> {
  refuseRealExam(folder);
  const url = options.url ?? (await urlOf(folder));
  const { playRehearsal, isComplete, showRehearsal } = await import('./rehearsal.ts');
  const stop = listenForStop();
  try {
    const result = await playRehearsal(folder, {
      url,
      students: options.students ?? folder.session.spec.students,
      durationMs: options.seconds * 1000,
      events: options.events,
      kills: options.kills,
      seed: options.seed ?? randomInt(2 ** 31),
      ledger: options.ledger,
      signal: stop.signal,
    });
    if (options.json) json(result);
    else showRehearsal(result);
    if (stop.by !== undefined) return exitCodeOfSignal(stop.by);
    return isComplete(result) ? exitCodes.ok : exitCodes.failed;
  } finally {
    stop.release();
  }
}

/** Gateways refuse too: the tokens say `rehearsal`, which only a rehearsal believes. */
function refuseRealExam({ session }: Folder): void {
  if (session.spec.rehearsal) return;
  throw problem(
    'not_a_rehearsal',
    `${session.metadata.name} is a real exam: its spec.rehearsal is not true`,
    'rehearse with a session of its own that has spec.rehearsal: true; its rows go to a table with the suffix _REHEARSAL',
  );
}

async function urlOf(folder: Folder): Promise<string> {
  const status = await readStatus(folder);
  const runs = (await livePids(folder)).gateway.length > 0;
  if (runs && status?.phase === 'Active' && status.url !== null) return status.url;
  throw problem(
    'not_active',
    `${folder.session.metadata.name} does not take answers: it is ${runs ? status?.phase : 'not running'}`,
    `start it with \`untradex run --data ${folder.at.root}\` and wait for Active`,
  );
}
