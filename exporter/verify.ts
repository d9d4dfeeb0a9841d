import type { Shard } from '#queue/connect.ts';
import { shardOf } from '#queue/identity.ts';
import { readLog } from '#queue/log.ts';
import { sessionRoot } from '#queue/merkle.ts';
import { type AttemptPlan, eventsOf } from './attempt.ts';
import { type Comparison, compareRows, type StateConflict } from './comparison.ts';
import { crashPoint } from './crashpoint.ts';
import { type Difference, differencesOf, type RowTrace, rowTraceOf, type Trace, traceOf } from './differences.ts';
import type { Row } from './row.ts';
import { type OnEntry, readSealed } from './sealed.ts';
import type { Sink } from './sink.ts';

/** What verifying found. It holds exactly when nothing differs. */
export interface Verification {
  readonly verified: boolean;
  readonly rows: number;
  readonly students: number;
  readonly writers: number;
  /** Students who have finished, as the queue says. */
  readonly finished: number;
  /** Of the roster: who has no event; null without a roster. */
  readonly absent: readonly string[] | null;
  /** Students who have events and are not in the roster; null without a roster. */
  readonly unknown: readonly string[] | null;
  /** Recomputed from the rows, hex; null when the rows are not those of the log. */
  readonly root: string | null;
  /** At most `mostNamed`. */
  readonly differences: readonly Difference[];
  /** True when there are more than those. */
  readonly more: boolean;
}

export interface VerifyOptions {
  readonly plan: AttemptPlan;
  /** Connected, sealed and compared with their witnesses: all of the session, in order. */
  readonly shards: readonly Shard[];
  /** Prepared with the same plan. */
  readonly sink: Sink;
  readonly onRows?: (rows: number) => void;
  readonly onEntry?: OnEntry;
  /** Students who were expected. */
  readonly roster?: readonly string[];
  readonly signal?: AbortSignal;
}

/** Differences that are told one by one, and students that are looked at for them. */
export const mostNamed = 20;
/** Events and rows that are kept for that, without their payloads. */
const mostTraces = 400_000;

/**
 * Proves the export: reads the published rows back and compares them with the sealed queue, never with anything that
 * the exporter wrote.
 *
 * First the log is read a second time, for each student's trail (every column of every event, in order), and the hash
 * `writers` for where each writer stands. Then the rows: from them come the same trails, every writer's chain, and from
 * the chains the session's root. Memory: a few hundred bytes a writer, and a batch. If something differs, log and rows
 * of the students in question are read once more, to name the rows.
 */
export async function verifyExport(options: VerifyOptions): Promise<Verification> {
  const { plan, sink } = options;
  // Begun at once: a sink sorts while the log is read.
  const rows = begin(sink.readBack());
  try {
    const sealed = await readSealed(options.shards, { ...halves(options, 0), ...onEntryOf(options) });
    crashPoint('verify:log-read');
    const finished = sealed.finished.size;
    const attendance = compareRoster(options.roster, sealed.trails);
    const comparer = compareRows(plan, sealed);
    const total = eventsOf(plan);
    const { onRows } = halves(options, total);
    let count = 0;
    for await (const batch of rows.values()) {
      options.signal?.throwIfAborted();
      comparer.take(batch);
      count += batch.length;
      onRows(count);
      if (count >= total / 2) crashPoint('verify:half');
    }
    const compared = comparer.end();
    const root = compared.suspects.length === 0 ? sessionRoot(compared.writers) : null;
    const differences = await nameDifferences(options, compared, root);
    return {
      verified: differences.length === 0,
      rows: compared.rows,
      students: compared.students,
      writers: compared.writers.length,
      finished,
      ...attendance,
      root,
      differences: differences.slice(0, mostNamed),
      more: differences.length > mostNamed || compared.suspects.length > mostNamed,
    };
  } finally {
    await rows.stop();
  }
}

function onEntryOf({ onEntry }: VerifyOptions) {
  return onEntry ? { onEntry } : {};
}

function compareRoster(roster: readonly string[] | undefined, answered: ReadonlyMap<string, unknown>) {
  if (!roster) return { absent: null, unknown: null };
  const expected = new Set(roster);
  return {
    absent: roster.filter((student) => !answered.has(student)),
    unknown: [...answered.keys()].filter((student) => !expected.has(student)).sort(),
  };
}

/** Log and rows are each half of the way. */
function halves({ onRows, signal }: VerifyOptions, before: number) {
  const report = (rows: number) => onRows?.(Math.floor((before + rows) / 2));
  return { onRows: report, ...(signal ? { signal } : {}) };
}

/** Asks for the first value before anybody waits for it. `stop` must follow in any case. */
function begin<T>(source: AsyncIterable<T>) {
  const iterator = source[Symbol.asyncIterator]();
  const first = iterator.next();
  first.catch(() => undefined);
  return {
    async *values(): AsyncGenerator<T, void, undefined> {
      for (let next = await first; !next.done; next = await iterator.next()) yield next.value;
    },
    async stop(): Promise<void> {
      await iterator.return?.();
    },
  };
}

async function nameDifferences(
  options: VerifyOptions,
  compared: Comparison,
  root: string | null,
): Promise<Difference[]> {
  const { suspects, conflicts } = compared;
  const rows = suspects.length > 0 ? await explain(options, new Set(suspects.slice(0, mostNamed))) : [];
  const states = conflicts.slice(0, mostNamed + 1).map(stateDifference);
  const all = [...rows, ...states];
  if (all.length > 0 || root === options.plan.root) return all;
  const text = `the root of the rows is ${root}, at the seal it was ${options.plan.root}`;
  return [{ kind: 'root', student: null, writer: null, seq: null, text }];
}

/** Reads log and rows once more, for these students only. */
async function explain(options: VerifyOptions, suspects: ReadonlySet<string>): Promise<Difference[]> {
  const { plan } = options;
  const shards = plan.witnesses.length;
  const events = await collect(suspects, loggedEvents(options.shards, suspects, shards), traceOf);
  const rows = await collect(suspects, storedRows(options.sink), rowTraceOf);
  return [...suspects].flatMap((student) => {
    const place = { exam: plan.session.exam, shard: shardOf(student, shards) };
    const found = differencesOf(student, events.get(student)!, rows.get(student)!, place);
    return found.length > 0 ? found : [apart(student)];
  });
}

async function* loggedEvents(shards: readonly Shard[], suspects: ReadonlySet<string>, count: number) {
  const concerned = new Set([...suspects].map((student) => shardOf(student, count)));
  for (const shard of shards) {
    if (!concerned.has(shard.identity.shard)) continue;
    for await (const { durableAt, events } of readLog(shard, { untilSeal: true })) {
      yield events.map((event) => ({ ...event, durableAt }));
    }
  }
}

async function* storedRows(sink: Sink): AsyncGenerator<readonly Row[]> {
  yield* sink.readBack();
}

async function collect<T extends { readonly student: string }, U extends Trace | RowTrace>(
  suspects: ReadonlySet<string>,
  batches: AsyncIterable<readonly T[]>,
  trace: (one: T) => U,
): Promise<Map<string, U[]>> {
  const found = new Map<string, U[]>([...suspects].map((student) => [student, []]));
  let count = 0;
  for await (const batch of batches) {
    for (const one of batch) {
      if (!suspects.has(one.student) || count >= mostTraces) continue;
      found.get(one.student)!.push(trace(one));
      count += 1;
    }
  }
  return found;
}

function apart(student: string): Difference {
  const text = `student ${student}: the rows are those of the log, but were not read back in their order`;
  return { kind: 'disordered', student, writer: null, seq: null, text };
}

function stateDifference({ student, writer, rows, sealed }: StateConflict): Difference {
  const text = `student ${student}, writer ${writer}: the rows end at ${rows ?? 'nothing'}, sealed is ${sealed ?? 'nothing'}`;
  return { kind: 'state', student, writer, seq: null, text };
}
