import type { Shard } from '#queue/connect.ts';
import { type Problem, problem } from '#queue/problem.ts';
import type { AttemptPlan } from './attempt.ts';
import { crashPoint } from './crashpoint.ts';
import type { Lines } from './lines.ts';
import { rate } from './lines.ts';
import { makeReport, type Report, writeReport } from './report.ts';
import type { Published, Sink } from './sink.ts';
import { type Verification, verifyExport } from './verify.ts';

export interface PublishOptions {
  readonly plan: AttemptPlan;
  readonly sink: Sink;
  /** Connects to the sealed shards, when they are needed: for verifying. */
  readonly connect: () => Promise<readonly Shard[]>;
  readonly lines: Lines;
  /** The sink in words. */
  readonly target: string;
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
  const [verification, verifyMs] = await timed(async () =>
    verifyExport({
      plan,
      sink,
      shards: await options.connect(),
      onRows: lines.step('verify', published.rows),
      ...(options.roster ? { roster: options.roster } : {}),
      ...(signal ? { signal } : {}),
    }),
  );
  const report = makeReport({
    ...{ plan, published, verification, publishMs, verifyMs, startedAt },
    target: options.target,
    loaded: await sink.loaded(),
    endedAt: Date.now(),
    rosterSize: options.roster?.length ?? null,
    receiptPublicKey: options.receiptPublicKey,
    samples: options.samples,
    sinkVersion: await sink.version(),
  });
  const digest = await writeReport(options.report, report);
  crashPoint('report:written');
  if (!verification.verified) throw verifyFailed(verification, options.report);
  return resultOf(report, digest, options.report);
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
