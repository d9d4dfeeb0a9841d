import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Shard } from '#queue/connect.ts';
import { shardOf } from '#queue/identity.ts';
import { limits } from '#queue/limits.ts';
import { type LogEntry, readLog } from '#queue/log.ts';
import { problem } from '#queue/problem.ts';
import type { AttemptPlan } from './attempt.ts';
import { crashPoint } from './crashpoint.ts';
import { type Row, rowOf } from './row.ts';
import type { LoadedShard, Sink } from './sink.ts';

/** A batch ends here too, so that memory is bounded whatever `batchRows` and the payloads are. */
const batchBytes = 8 * limits.batchBytes;

export interface LoadOptions {
  readonly plan: AttemptPlan;
  /** A sealed one, compared with its witness. */
  readonly shard: Shard;
  readonly sink: Sink;
  readonly onRows?: (rows: number) => void;
  readonly signal?: AbortSignal;
}

/** Loads the sealed log of one shard into the sink's staging, in order. The sink is prepared. */
export async function loadShard({ plan, shard, sink, onRows, signal }: LoadOptions): Promise<LoadedShard> {
  const number = shard.identity.shard;
  const log = readLog(shard, { untilSeal: true });
  return sink.load(
    number,
    rowBatches(plan, number, log, { ...(onRows ? { onRows } : {}), ...(signal ? { signal } : {}) }),
  );
}

/**
 * The rows of a shard's log in batches of at most `plan.batchRows`; ORDER_NO counts each student's events in the order
 * of the log. Throws Problem `log_misplaced` for a student of another shard, and `witness_differs` instead of ending
 * when the log held another number of events than its witness.
 */
export async function* rowBatches(
  plan: AttemptPlan,
  shard: number,
  log: AsyncIterable<LogEntry>,
  { onRows, signal }: { readonly onRows?: (rows: number) => void; readonly signal?: AbortSignal } = {},
): AsyncGenerator<Row[], void, undefined> {
  const { exam, uid: sessionUid } = plan.session;
  const counts = new Map<string, number>();
  const expected = plan.witnesses[shard]!.events;
  let batch: Row[] = [];
  let bytes = 0;
  let done = 0;
  for await (const { durableAt, events } of log) {
    for (const event of events) {
      const before = counts.get(event.student) ?? firstOf(event.student, shard, plan.witnesses.length);
      const orderNo = before + 1;
      counts.set(event.student, orderNo);
      batch.push(rowOf(event, { exam, sessionUid, shard, durableAt, orderNo }));
      bytes += event.payload.length;
      if (batch.length < plan.batchRows && bytes < batchBytes) continue;
      yield batch;
      done += batch.length;
      if (done >= expected / 2) crashPoint('load:half');
      onRows?.(done);
      // A page of the log is many batches, and reading them waits for nothing: signals come in between.
      await nextTurn();
      signal?.throwIfAborted();
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
  done += batch.length;
  onRows?.(done);
  if (done !== expected) throw otherCount(shard, done, expected);
}

/** 0: a student of whom no event was seen yet. Looked at once a student. */
function firstOf(student: string, shard: number, shards: number): number {
  const own = shardOf(student, shards);
  if (own === shard) return 0;
  throw problem(
    'log_misplaced',
    `the log of shard ${shard} holds events of student "${student}", who belongs to shard ${own}`,
    'A gateway wrote with another number of shards. Keep the volumes: the order of this student cannot be told from one log.',
  );
}

function otherCount(shard: number, found: number, expected: number) {
  return problem(
    'witness_differs',
    `the log of shard ${shard} holds ${found} events, but it was sealed with ${expected}`,
    'This volume is not the one that was sealed: attach that one, and export again. Release nothing before.',
  );
}
