import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatState } from '#queue/chain.ts';
import type { Shard } from '#queue/connect.ts';
import { writerField } from '#queue/keys.ts';
import { type LogEntry, readLog } from '#queue/log.ts';
import { scanFinished, scanWriters } from '#queue/writerstate.ts';
import { emptyTrail, extendTrail, type Trail } from './trail.ts';

/** What the sealed queue says, as far as rows can be compared with it. A few hundred bytes a writer, whatever it wrote. */
export interface Sealed {
  /** By student: the trail of all events, in the order of the log. */
  readonly trails: Map<string, Trail>;
  /** By `writer:student`: the durable state, as `seq:chain`. */
  readonly writers: Map<string, string>;
  /** Students who have finished, with their time (ms since 1970). */
  readonly finished: Map<string, number>;
  readonly events: number;
}

/** Told of each entry of the log: when (ms since 1970) how many events of it became durable. */
export type OnEntry = (shard: number, durableAt: number, events: number) => void;

/** Reads the sealed logs a second time, from their beginning, and where every writer stands. */
export async function readSealed(
  shards: readonly Shard[],
  options: {
    readonly onRows?: (rows: number) => void;
    readonly onEntry?: OnEntry;
    readonly signal?: AbortSignal;
  } = {},
): Promise<Sealed> {
  const sealed = { trails: new Map<string, Trail>(), writers: new Map(), finished: new Map(), events: 0 };
  for (const shard of shards) {
    for await (const entry of readLog(shard, { untilSeal: true })) {
      extendTrails(sealed.trails, entry);
      sealed.events += entry.events.length;
      options.onEntry?.(shard.identity.shard, entry.durableAt, entry.events.length);
      options.onRows?.(sealed.events);
      // Signals, and a sink that sorts meanwhile, come in between.
      await nextTurn();
      options.signal?.throwIfAborted();
    }
    for await (const { student, writer, state } of scanWriters(shard)) {
      sealed.writers.set(writerField(writer, student), formatState(state));
    }
    for await (const { student, at } of scanFinished(shard)) sealed.finished.set(student, at);
  }
  return sealed;
}

function extendTrails(trails: Map<string, Trail>, { durableAt, events }: LogEntry): void {
  for (const event of events) {
    const { student, writer, seq, payload, receivedAt, late } = event;
    let trail = trails.get(student);
    if (!trail) {
      trail = emptyTrail();
      trails.set(student, trail);
    }
    extendTrail(trail, { writer, seq, payload, receivedAt, durableAt, late });
  }
}
