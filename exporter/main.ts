import { parseArgs } from 'node:util';
import { problem } from '#queue/problem.ts';
import { eventsOf } from './attempt.ts';
import { type Job, runLoad, runPublish } from './commands.ts';
import { type ExporterConfig, outcomeFileOf, readConfig } from './config.ts';
import { createLines, type Progress } from './lines.ts';
import { createLog, type Logger } from './log.ts';
import { openSink } from './opensink.ts';
import { exitCodeOf, interrupted, problemOf } from './outcome.ts';
import { writeOutcome } from './outcomefile.ts';
import { createProgressServer } from './progressserver.ts';

// exporter/main.ts load --config FILE --shard N      (as a pod of an Indexed Job: its JOB_COMPLETION_INDEX is the shard)
// exporter/main.ts publish --config FILE
//
// JSON lines on stdout (lines.ts), the log on stderr, exit codes of outcome.ts. Where the configuration names an
// outcomeFile the last line is left there too, and with an opsPort the progress is told there.

/** A signal ends the program in this time, whatever hangs; its parent kills it a little later. */
const graceMs = 2_000;

let outcomeFile: string | null = null;
const lines = createLines((line) => process.stdout.write(line), { last: leave });
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => end(name));

function end(signal: string): void {
  const reason = interrupted(signal);
  stop.abort(reason);
  setTimeout(() => fail(reason), graceMs).unref();
}

/** Whoever runs us does without the file: it makes a new attempt when it finds none. */
function leave(line: Readonly<Record<string, unknown>>): void {
  try {
    if (outcomeFile !== null) writeOutcome(outcomeFile, line);
  } catch (error) {
    createLog('error', {}).error({ err: error, outcomeFile }, 'the outcome could not be left');
  }
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
  outcomeFile = outcomeFileOf(configFile);
  const config = readConfig(configFile);
  const { session, attempt, witnesses } = config.plan;
  if (shard !== null && shard >= witnesses.length) throw usage(`--shard is ${shard}, there are ${witnesses.length}`);
  const log = createLog(config.logLevel, { session: session.name, uid: session.uid, attempt, command });
  const sink = openSink(config, stop.signal);
  const closeOps = openOps(config, log, shard);
  const job: Job = { config, sink, lines, log, signal: stop.signal };
  try {
    lines.result(shard === null ? await runPublish(job) : await runLoad(job, shard));
  } catch (error) {
    log.error({ err: error }, 'the exporter failed');
    throw error;
  } finally {
    closeOps();
    await sink.close();
  }
}

/** Progress is a comfort: a port that is taken stops no export. */
function openOps({ opsPort, plan }: ExporterConfig, log: Logger, shard: number | null): () => void {
  if (opsPort === null) return () => {};
  const about = shard === null ? ({ step: 'publish' } as const) : ({ step: 'load', shard } as const);
  const total = shard === null ? eventsOf(plan) : plan.witnesses[shard]!.events;
  const first: Progress = { ...about, rows: 0, total, rowsPerSecond: 0 };
  const server = createProgressServer(() => lines.progress() ?? first);
  server.on('error', (error) => log.warn({ err: error, opsPort }, 'nobody can ask for the progress'));
  server.listen(opsPort);
  return () => void server.close();
}

function readArguments() {
  const { positionals, values } = parse();
  const [command, ...more] = positionals;
  if ((command !== 'load' && command !== 'publish') || more.length > 0) throw usage('say load or publish');
  if (values.config === undefined) throw usage('--config is missing');
  if (command === 'publish') {
    if (values.shard !== undefined) throw usage('--shard is for load only');
    return { command, configFile: values.config, shard: null };
  }
  // As Kubernetes tells a pod of an Indexed Job which one it is.
  const shard = values.shard ?? process.env.JOB_COMPLETION_INDEX;
  if (shard === undefined) throw usage('--shard is missing');
  if (!/^\d{1,4}$/.test(shard)) throw usage('--shard must be a whole number');
  return { command, configFile: values.config, shard: Number(shard) };
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
