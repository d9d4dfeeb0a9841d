import { randomInt } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { examples } from './examples.ts';
import { exitCodeOfSignal, exitCodes } from './exitcodes.ts';
import { line } from './output.ts';
import { listenForStop } from './signals.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options {
  readonly students: number;
  readonly seconds: number;
  readonly events?: number;
  readonly gateways: number;
  readonly shards: number;
  readonly kills: number;
  readonly port: number;
  readonly seed?: number;
  readonly sink: 'duckdb' | 'postgres';
  readonly sinkFile?: string;
  readonly data?: string;
  readonly json?: string;
  readonly ledger?: string;
}

/** `untradex demo`: a whole exam in a minute, with crashes, and the proof that nothing was lost. */
export function registerDemo(program: Command): void {
  const command = program
    .command('demo')
    .summary('play a whole exam in a minute, with crashes, and prove that nothing was lost')
    .description(
      'Plays a whole exam on this machine: students answer while gateways and Redis are killed under them. ' +
        'Then it is finalized, exported, and compared with what the students saw acknowledged.',
    )
    .option('--students <n>', 'students', wholeNumber(1, 20_000), 400)
    .option('--seconds <n>', 'how long they answer', wholeNumber(1, 3_600), 20)
    .option('--events <n>', 'answers of each student (default: five in four seconds)', wholeNumber(1, 20_000))
    .option('--gateways <n>', 'gateway processes', wholeNumber(1, 64), 2)
    .option('--shards <n>', 'shards, each a redis-server', wholeNumber(1, 64), 2)
    .option('--kills <n>', 'how many of them are killed with SIGKILL meanwhile', wholeNumber(0, 1_000), 3)
    .option('--port <p>', 'port for the students (default: a free one)', wholeNumber(0, 65_535), 0)
    .option('--seed <n>', 'repeat the same schedule of students and kills', wholeNumber(0, 2 ** 31))
    .addOption(new Option('--sink <kind>', 'where the answers go').choices(['duckdb', 'postgres']).default('duckdb'))
    .addOption(
      new Option(
        '--sink-file <file>',
        'YAML of what spec.export.postgres holds: host, port, database, user, passwordFile, schema, tls',
      ).env('UNTRADEX_SINK_FILE'),
    )
    .option('--data <dir>', 'folder for the session, empty or new (default: a temporary one)')
    .option('--json <file>', 'write the result as JSON')
    .option('--ledger <file>', 'write what the students saw acknowledged, NDJSON')
    .action(async (options: Options) => {
      process.exitCode = await demo(options);
    });
  examples(command, [
    'untradex demo',
    'untradex demo --students 4000 --seconds 60 --kills 6',
    'untradex demo --json result.json --ledger ledger.ndjson',
    'untradex demo --sink postgres --sink-file postgres.yaml',
  ]);
}

/** @returns the exit code: 0 only when everything acknowledged was found again, once, in order, and verified */
async function demo(options: Options): Promise<number> {
  const { makeDemoFolder } = await import('./demosession.ts');
  const { readTarget } = await import('./demotarget.ts');
  const { playDemo } = await import('./demoplay.ts');
  const { isProven, showDemo } = await import('./demoresult.ts');
  const target = readTarget(options.sink, options.sinkFile);
  const stop = listenForStop();
  const folder = makeDemoFolder(options.data);
  try {
    const ledger = options.ledger ?? join(folder, 'ledger.ndjson');
    const result = await playDemo({
      ...options,
      events: options.events ?? Math.max(5, Math.round(options.seconds * 1.25)),
      seed: options.seed ?? randomInt(2 ** 31),
      folder,
      ledger,
      ...(target === null ? {} : { target }),
      signal: stop.signal,
    });
    if (options.json !== undefined) writeResult(options.json, result);
    showDemo(result);
    return isProven(result) ? exitCodes.ok : exitCodes.failed;
  } catch (error) {
    if (stop.by === undefined) throw error;
    if (options.data === undefined) rmSync(folder, { recursive: true, force: true });
    line('stopped; nothing is left running');
    return exitCodeOfSignal(stop.by);
  } finally {
    stop.release();
  }
}

function writeResult(file: string, result: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
}
