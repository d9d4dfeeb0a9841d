import { setTimeout as sleep } from 'node:timers/promises';
import { type AckTimes, createAckHistogram } from './ackhistogram.ts';
import { type AppendBatch, type Offender, rawBatch } from './append.ts';
import { type Batch, describeWriters, trimBatch } from './batch.ts';
import { createBatchQueue } from './batchqueue.ts';
import { parseState, type State } from './chain.ts';
import type { Shard, ShardLogger, ShardState } from './connect.ts';
import { deliver, pause } from './delivery.ts';
import { chainEvent, judgeRepeat, type LaneListener, type LaneRecord, meet, reachTarget, settle } from './lane.ts';
import { createLaneTable, lostData } from './lanetable.ts';
import { limits as defaultLimits } from './limits.ts';
import { createPressure, type WriterLimits } from './pressure.ts';
import { asProblem } from './replyerror.ts';

export type { LaneListener, Refusal } from './lane.ts';
export type { WriterLimits } from './pressure.ts';

// The shard writer: everything that this process appends to one shard goes through it, in one order.
//
// An offer is chained, packed into the batch that grows, and that is all: no promise, no timer. One append is in flight;
// while it flies, the batch grows; when its answer came, the next flies at once. When nothing flies, the batch waits for
// the end of the turn of the event loop, so that all frames of the turn share it. A batch that is full waits in a row.
//
//   flying -> ok        its lanes are durable up to their last event in it; listeners are told, once a lane
//          -> refused   nothing was written; each offender's lane concludes what it must, the batch is trimmed and flies
//          -> full      nothing was written; the same again, later
//          -> sealed    everything that waits is refused; the shard takes nothing any more
//          -> no answer the same bytes again, on a checked connection, until there is an answer
//          -> unknown error   everything that waits is refused as broken; this process leaves the shard alone
//
// Only a definite answer lets a batch be changed, so a repeat is always byte-identical.

/** One writer of one student in this process. Made by `attach`, valid until the last listener detaches. */
export interface Lane {
  readonly student: string;
  readonly writer: string;
  /** Accepted, but perhaps not durable yet. */
  readonly head: State;
  readonly durable: State;
}

/** What became of an offer. */
export type Offer =
  /** Will be durable, or refused: the listeners are told. */
  | 'accepted'
  /** The same bytes were accepted before: they are durable, or will be told like those. */
  | 'repeat_durable'
  | 'repeat_pending'
  /** An event before it is missing: head.seq + 1 is expected. */
  | 'gap'
  /** Other bytes were accepted under this seq. */
  | 'forked'
  /** At or below head, but too old to be remembered: the log knows (`findEvent`). */
  | 'unverified'
  /** Above `limits.maxSeq`. */
  | 'quota'
  /** Not taken now: too much waits, the store is full, or this process drains or no longer serves the shard. */
  | 'full'
  | 'sealed';

export interface ShardWriterOptions {
  readonly shard: Shard;
  /** ms since 1970; Date.now when left out. */
  readonly now?: () => number;
  readonly limits?: Partial<WriterLimits>;
  /** True: take nothing more from sockets (too much waits, or the store is full). False: go on. */
  readonly onPressure?: (pressed: boolean) => void;
  readonly logger?: ShardLogger;
  /** Longest pause before a store that is full or cannot write is tried again, in ms; 2,000 when left out. */
  readonly maxRetryMs?: number;
}

export interface WriterStats {
  readonly lanes: number;
  readonly pendingEvents: number;
  /** Packed: payloads and what stands before each. */
  readonly pendingBytes: number;
  /** Events that this process has seen acknowledged. */
  readonly durableEvents: number;
  /** Batches acknowledged; calls without a definite answer; batches refused because of some of their writers. */
  readonly appends: number;
  readonly retries: number;
  readonly refusals: number;
  readonly isPressed: boolean;
  readonly isSealed: boolean;
  readonly shard: ShardState;
  readonly ackMs: AckTimes;
}

export interface ShardWriter {
  /**
   * Joins a writer's lane, made when this process has none, after one read of the store: `lane.durable` is true and
   * not older than anything that a gateway has told this writer. Rejects with a Problem when the shard cannot be read.
   */
  attach(student: string, writer: string, listener: LaneListener): Promise<Lane>;
  /** Leaves. What the lane has accepted still becomes durable, if it can. */
  detach(lane: Lane, listener: LaneListener): void;
  /**
   * Takes one event, or says why not. Listeners are told of it later, never from within this call.
   * @param payload admitted by `admitPayload`; its bytes are copied, so the caller may reuse the buffer
   * @param receivedAt ms since 1970, a whole number
   */
  offer(lane: Lane, seq: number, payload: Buffer, receivedAt: number): Offer;
  stats(): WriterStats;
  /**
   * Takes no more offers and waits until nothing waits to be appended; false after `timeoutMs`. Lanes that wait for
   * another process's events (they hold none themselves) do not count.
   */
  drain(timeoutMs: number): Promise<boolean>;
  /** Stops at once; listeners hear nothing more. The shard stays the caller's to close. */
  close(): void;
}

export function createShardWriter(options: ShardWriterOptions): ShardWriter {
  const { shard, now = Date.now, maxRetryMs = 2_000 } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const lanes = createLaneTable(shard);
  const queue = createBatchQueue();
  const pressure = createPressure({
    ...options,
    limits,
    queue,
    onPressure: options.onPressure,
    logger: options.logger,
  });
  const ackTimes = createAckHistogram();
  const stop = new AbortController();
  const counts = { durableEvents: 0, appends: 0, retries: 0, refusals: 0 };
  let isScheduled = false;
  let isFlying = false;
  let isSealed = false;
  /** Draining, broken or closed: nothing is taken. */
  let isShut = false;
  let onEmpty: (() => void) | null = null;

  // Offers: the hot path.

  function offer(handle: Lane, seq: number, payload: Buffer, receivedAt: number): Offer {
    const lane = handle as LaneRecord;
    if (seq !== lane.head.seq + 1) return seq > lane.head.seq || seq < 1 ? 'gap' : offerRepeat(lane, seq, payload);
    if (isSealed) return 'sealed';
    if (seq > limits.maxSeq) return 'quota';
    if (isShut || !pressure.hasRoom()) return 'full';
    if (lane.listeners.length === 0) throw new Error('defect: an offer to a lane that nobody is attached to');
    chainEvent(lane, payload);
    if (lane.target) {
      offerBehind(lane);
      return 'accepted';
    }
    queue.add(lane, payload, receivedAt);
    pressure.watch();
    if (!isFlying && !isScheduled) {
      isScheduled = true;
      setImmediate(startFlying);
    }
    return 'accepted';
  }

  function offerRepeat(lane: LaneRecord, seq: number, payload: Buffer): Offer {
    const judged = judgeRepeat(lane, seq, payload);
    if (judged === 'unknown') return 'unverified';
    if (judged === 'other') return 'forked';
    return seq <= lane.durable.seq ? 'repeat_durable' : 'repeat_pending';
  }

  /** The listeners hear of it after the caller has heard that its offer was accepted. */
  function offerBehind(lane: LaneRecord): void {
    const { target, epoch } = lane;
    const outcome = reachTarget(lane);
    if (outcome === 'nothing' || target === null) return;
    queueMicrotask(() => {
      if (lane.epoch === epoch) lanes.conclude(lane, outcome, target);
    });
  }

  // The flight.

  function startFlying(): void {
    isScheduled = false;
    isFlying = true;
    fly().catch(breakDown);
  }

  async function fly(): Promise<void> {
    for (let batch = queue.take(); batch; batch = queue.take()) {
      try {
        await flyBatch(batch);
      } finally {
        queue.done(batch);
      }
      pressure.watch();
    }
    // In the same turn as the last look into the queue: an offer that finds this true counts on being taken.
    isFlying = false;
    onEmpty?.();
  }

  /** Sends a batch until nothing of it is left to be answered. */
  async function flyBatch(batch: Batch): Promise<void> {
    for (let fulls = 0; ; ) {
      const [events, bytes] = [batch.count, batch.length];
      trimBatch(batch);
      queue.trimmed(events - batch.count, bytes - batch.length);
      if (batch.count === 0) return;
      const reply = await deliver(shard, describe(batch), delivery);
      pressure.storeIsFull(reply.kind === 'full');
      if (reply.kind === 'ok') return acknowledge(batch, reply.entryId);
      if (reply.kind === 'sealed') return seal();
      if (reply.kind === 'full') {
        await sleep(pause(fulls++, maxRetryMs), null, { signal: stop.signal });
      } else {
        counts.refusals += 1;
        for (const offender of reply.offenders) judge(batch, offender);
      }
    }
  }

  const delivery = {
    signal: stop.signal,
    maxRetryMs,
    onRetry: () => {
      counts.retries += 1;
    },
  };

  function acknowledge(batch: Batch, entryId: string): void {
    shard.saw(entryId);
    counts.appends += 1;
    counts.durableEvents += batch.count;
    const at = now();
    for (let i = 0; i < batch.count; i++) ackTimes.record(at - batch.receivedAts[i]!);
    for (let place = 0; place < batch.lanes.length; place++) {
      const lane = batch.lanes[place]!;
      // A lane that was dropped meanwhile promised nothing to anybody who still listens.
      if (batch.epochs[place] !== lane.epoch) continue;
      settle(lane, batch.afters[place]!);
      lanes.tellDurable(lane);
    }
  }

  function judge(batch: Batch, { index, kind, state }: Offender): void {
    const lane = batch.lanes[index];
    if (!lane || batch.epochs[index] !== lane.epoch) return;
    const wasMarked = batch.lates[index];
    if (kind === 'behind') shard.lose(lostData(lane, state === '0:' ? null : parseState(state)));
    else if (kind === 'ontime') lane.late = false;
    else if (kind === 'late' && !wasMarked) lane.late = true;
    else if (kind === 'late' || kind === 'finished' || kind === 'quota') lanes.refuse(lane, kind);
    else {
      const current = parseState(state);
      lanes.conclude(lane, kind === 'ahead' ? meet(lane, current) : 'forked', current);
    }
  }

  // The end.

  function seal(): void {
    isSealed = true;
    queue.clear();
    lanes.refuseAll('sealed');
  }

  function breakDown(error: unknown): void {
    isFlying = false;
    if (stop.signal.aborted) return;
    isShut = true;
    shard.breakDown(asProblem(error));
    queue.clear();
    lanes.refuseAll('broken');
    onEmpty?.();
  }

  async function drain(timeoutMs: number): Promise<boolean> {
    isShut = true;
    const timer = new AbortController();
    const emptied = new Promise<void>((resolve) => {
      onEmpty = resolve;
      if (!isFlying && queue.events === 0) resolve();
    });
    await Promise.race([emptied, sleep(timeoutMs, null, { signal: timer.signal }).catch(() => null)]);
    timer.abort();
    return queue.events === 0 && shard.state.phase !== 'broken';
  }

  function close(): void {
    isShut = true;
    stop.abort();
    pressure.close();
    queue.clear();
    lanes.clear();
  }

  return {
    attach: (student, writer, listener) => lanes.attach(student, writer, listener),
    detach: (lane, listener) => lanes.detach(lane as LaneRecord, listener),
    offer,
    drain,
    close,
    stats: () => ({
      ...counts,
      lanes: lanes.size,
      pendingEvents: queue.events,
      pendingBytes: queue.bytes,
      isPressed: pressure.isPressed,
      isSealed,
      shard: shard.state,
      ackMs: ackTimes.times(),
    }),
  };
}

function describe(batch: Batch): AppendBatch {
  return rawBatch(batch.bytes.subarray(0, batch.length), batch.count, describeWriters(batch));
}
