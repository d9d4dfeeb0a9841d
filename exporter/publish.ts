import type { Shard } from '#queue/connect.ts';
import { type Problem, problem } from '#queue/problem.ts';
import type { AttemptPlan } from './attempt.ts';
import { crashPoint } from './crashpoint.ts';
import type { Lines } from './lines.ts';
import { rate } from './lines.ts';
import type { Logger } from './log.ts';
import { readDiaries } from './report/diary.ts';
import { writePage } from './report/page.ts';
import { reportPaths } from './report/reportpaths.ts';
import { writeMissing } from './report/rosterfile.ts';
import { readSampleCurves, type SampleCurves } from './report/samplecurves.ts';
import { createTimeline, endOf, type Timeline } from './report/timeline.ts';
import { makeReport, type Report, writeReport } from './report.ts';
import type { Published, Sink } from './sink.ts';
import { type Verification, verifyExport } from './verify.ts';

export interface PublishOptions {
  readonly plan: AttemptPlan;
  readonly sink: Sink;
  /** Connects to the sealed shards, when they are needed: for verifying. */
  readonly connect: () => Promise<readonly Shard[]>;
  readonly lines: Lines;
  readonly log: Logger;
  /** The sink in words. */
  readonly target: string;
  /** Where the report goes; `reportpaths.ts` says what comes beside it. */
  readonly report: string;
  readonly roster: readonly string[] | null;
  readonly receiptPublicKey: string | null;
  readonly samples: string | null;
  readonly signal?: AbortSignal;
}

/** What the last line of a publisher says. */
export interface PublishResult {
  readonly verified: true;
  readonly attempt: number;
  readonly already: boolean;
  readonly rows: number;
  readonly root: string;
  /** SHA-256 of the report's file, and where it is. */
  readonly digest: string;
  readonly report: string;
  /** Of the whole attempt, from its first row to the proof. */
  readonly rowsPerSecond: number;
  readonly rates: Report['rowsPerSecond'];
  /** Somebody should back the target up now, and the queue be kept until then: it did not log the rows. */
  readonly backupNeeded: boolean;
}

/**
 * Publishes what is staged (or finds it published), proves it, and writes the report. A repeat at any later time finds
 * the session published, proves it again and writes the report again.
 * @throws Problem `verify_failed` when the proof fails; then the report names what differs
 */
export async function publishExport(options: PublishOptions): Promise<PublishResult> {
  const { plan, sink, lines, signal } = options;
  const startedAt = Date.now();
  const [published, publishMs] = await timed(() => publish(options));
  signal?.throwIfAborted();
  const timeline = createTimeline(plan.witnesses.length);
  const [verification, verifyMs] = await timed(async () =>
    verifyExport({
      plan,
      sink,
      shards: await options.connect(),
      onRows: lines.step('verify', published.rows),
      onEntry: timeline.add,
      ...(options.roster ? { roster: options.roster } : {}),
      ...(signal ? { signal } : {}),
    }),
  );
  const report = makeReport({
    ...{ plan, published, verification, publishMs, verifyMs, startedAt },
    target: options.target,
    loaded: await sink.loaded(),
    endedAt: Date.now(),
    receiptPublicKey: options.receiptPublicKey,
    ...(await surroundings(options, verification, timeline.end())),
    retries: sink.retries?.() ?? [],
    sinkVersion: await sink.version(),
  });
  const digest = await writeReport(options.report, report);
  await comfort(options, 'the page of the report could not be written', () =>
    writePage(reportPaths(options.report).page, report),
  );
  crashPoint('report:written');
  if (!verification.verified) throw verifyFailed(verification, options.report);
  return resultOf(report, digest, options.report);
}

/** What the report is made from beside the proof: files that lie around, which may be missing. */
async function surroundings(options: PublishOptions, { absent }: Verification, timeline: Timeline | null) {
  const { missing, missingName, diaries } = reportPaths(options.report);
  const fileSha256 = await writeMissing(missing, absent);
  const students = options.roster?.length ?? 0;
  return {
    roster: fileSha256 === null ? null : { students, file: missingName, fileSha256 },
    timeline,
    samples: await samplesOf(options, timeline),
    diaries: await readDiaries(diaries, options.plan),
  };
}

/** Gateways outlive the seal: what they had to say some time after the last event is not of the exam. */
const afterLastEventMs = 60_000;

async function samplesOf(options: PublishOptions, timeline: Timeline | null): Promise<SampleCurves | null> {
  const { samples } = options;
  if (samples === null) return null;
  const until = timeline === null ? Number.POSITIVE_INFINITY : endOf(timeline) + afterLastEventMs;
  const read = () => readSampleCurves(samples, until);
  return (await comfort(options, 'the samples could not be read', read)) ?? null;
}

/** A proof is not worth less because something for people is missing. */
async function comfort<T>({ log }: PublishOptions, what: string, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    log.warn({ err: error }, what);
    return undefined;
  }
}

async function publish({ sink, lines, plan }: PublishOptions): Promise<Published> {
  const total = plan.witnesses.reduce((sum, { events }) => sum + events, 0);
  const told = lines.step('publish', total);
  told(0);
  const published = await sink.publish();
  told(published.rows);
  return published;
}

function resultOf(report: Report, digest: string, path: string): PublishResult {
  const ms = Date.parse(report.endedAt) - Date.parse(report.startedAt);
  return {
    verified: true,
    attempt: report.attempt,
    already: report.published.already,
    rows: report.rows,
    root: report.sealedRoot,
    digest,
    report: path,
    rowsPerSecond: rate(report.rows, ms),
    rates: report.rowsPerSecond,
    backupNeeded: report.published.backupNeeded ?? false,
  };
}

function verifyFailed({ differences, more }: Verification, report: string): Problem {
  const told = [...differences.map(({ kind, text }) => `${kind}: ${text}`), ...(more ? ['and more'] : [])];
  return problem(
    'verify_failed',
    `the published rows are not those of the sealed queue:\n${told.map((line) => `  ${line}`).join('\n')}`,
    `Release nothing. Find out who changed the table, restore its rows (staging holds them too), then verify again; the report is ${report}.`,
  );
}

async function timed<T>(work: () => Promise<T>): Promise<[value: T, ms: number]> {
  const began = performance.now();
  const value = await work();
  return [value, performance.now() - began];
}
