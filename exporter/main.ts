import { parseArgs } from 'node:util';
import { problem } from '#queue/problem.ts';
import { type Job, runLoad, runPublish } from './commands.ts';
import { readConfig } from './config.ts';
import { createLines } from './lines.ts';
import { createLog } from './log.ts';
import { openSink } from './opensink.ts';
import { exitCodeOf, interrupted, problemOf } from './outcome.ts';

// exporter/main.ts load --config FILE --shard N
// exporter/main.ts publish --config FILE
//
// JSON lines on stdout (lines.ts), the log on stderr, exit codes of outcome.ts.

/** A signal ends the program in this time, whatever hangs; its parent kills it a little later. */
const graceMs = 2_000;

const lines = createLines((line) => process.stdout.write(line));
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end(name));

function end(signal: string): void {
  const reason = interrupted(signal);
  stop.abort(reason);
  setTimeout(() => fail(reason), graceMs).unref();
}

function fail(error: unknown): never {
  lines.problem(problemOf(error));
  process.exit(exitCodeOf(error));
}

try {
  await main();
} catch (error) {
  // What fails after a signal fails because of it.
  fail(stop.signal.aborted ? stop.signal.reason : error);
}

async function main(): Promise<void> {
  const { command, configFile, shard } = readArguments();
  const config = readConfig(configFile);
  const { session, attempt, witnesses } = config.plan;
  if (shard !== null && shard >= witnesses.length) throw usage(`--shard is ${shard}, there are ${witnesses.length}`);
  const log = createLog(config.logLevel, { session: session.name, uid: session.uid, attempt, command });
  const sink = openSink(config, stop.signal);
  const job: Job = { config, sink, lines, log, signal: stop.signal };
  try {
    lines.result(shard === null ? await runPublish(job) : await runLoad(job, shard));
  } catch (error) {
    log.error({ err: error }, 'the exporter failed');
    throw error;
  } finally {
    await sink.close();
  }
}

function readArguments() {
  const { positionals, values } = parse();
  const [command, ...more] = positionals;
  if ((command !== 'load' && command !== 'publish') || more.length > 0) throw usage('say load or publish');
  if (values.config === undefined) throw usage('--config is missing');
  const needsShard = command === 'load';
  if (needsShard !== (values.shard !== undefined))
    throw usage(`--shard is ${needsShard ? 'missing' : 'for load only'}`);
  if (needsShard && !/^\d{1,4}$/.test(values.shard!)) throw usage('--shard must be a whole number');
  return { command, configFile: values.config, shard: needsShard ? Number(values.shard) : null };
}

function parse() {
  try {
    const options = { config: { type: 'string' }, shard: { type: 'string' } } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw usage((error as Error).message);
  }
}

function usage(what: string) {
  return problem(
    'usage',
    what,
    'Call it as: exporter/main.ts load --config FILE --shard N, or exporter/main.ts publish --config FILE',
  );
}
