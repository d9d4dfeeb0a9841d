import type { State } from './chain.ts';
import type { Shard } from './connect.ts';
import { writerField } from './keys.ts';
import {
  createLane,
  drop,
  type Encounter,
  isSettled,
  type LaneListener,
  type LaneRecord,
  meet,
  type Refusal,
} from './lane.ts';
import { type Problem, problem } from './problem.ts';
import { readState } from './writerstate.ts';

/** The lanes of one shard in this process, one a writer, however many connections it has; and telling their listeners. */
export interface LaneTable {
  readonly size: number;
  /** Joins a lane, made when there is none, after one read of the store. */
  attach(student: string, writer: string, listener: LaneListener): Promise<LaneRecord>;
  detach(lane: LaneRecord, listener: LaneListener): void;
  /** Tells the listeners that the lane is durable as far as it says. */
  tellDurable(lane: LaneRecord): void;
  /** Does what follows from an {@link Encounter} with the state `current`. */
  conclude(lane: LaneRecord, outcome: Encounter, current: State): void;
  /** Drops what waits in a lane, down to `durable` (left out: what was known to be), and tells the listeners. */
  refuse(lane: LaneRecord, kind: Refusal, durable?: State): void;
  /** Likewise for every lane in which something waits. */
  refuseAll(kind: Refusal): void;
  /** Forgets all lanes; nobody is told. */
  clear(): void;
}

export function createLaneTable(shard: Shard): LaneTable {
  const lanes = new Map<string, LaneRecord>();

  // Listeners may detach when they are told, themselves or all: hence from the last to the first.

  function tellDurable(lane: LaneRecord): void {
    const { listeners, durable } = lane;
    for (let i = listeners.length - 1; i >= 0; i--) listeners[i]?.durable(durable.seq);
    if (listeners.length === 0) forgetIfIdle(lane);
  }

  function refuse(lane: LaneRecord, kind: Refusal, durable = lane.durable): void {
    drop(lane, durable);
    for (let i = lane.listeners.length - 1; i >= 0; i--) lane.listeners[i]?.refused(kind, durable);
    forgetIfIdle(lane);
  }

  function conclude(lane: LaneRecord, outcome: Encounter, current: State): void {
    if (outcome === 'durable') tellDurable(lane);
    if (outcome === 'forked') refuse(lane, 'forked', current);
    if (outcome === 'behind') forgetIfIdle(lane);
  }

  /** A lane that others use takes in what was read for a newcomer, who must not be told less than is stored. */
  function catchUp(lane: LaneRecord, current: State): void {
    if (current.seq <= lane.head.seq) conclude(lane, meet(lane, current), current);
    else if (isSettled(lane)) drop(lane, current);
    else refuse(lane, 'superseded', current);
  }

  /** Nobody listens, and it is in no batch. */
  function forgetIfIdle(lane: LaneRecord): void {
    if (lane.listeners.length > 0 || !(isSettled(lane) || lane.target)) return;
    const field = writerField(lane.writer, lane.student);
    if (lanes.get(field) === lane) lanes.delete(field);
  }

  return {
    get size() {
      return lanes.size;
    },
    tellDurable,
    refuse,
    conclude,

    async attach(student, writer, listener) {
      const field = writerField(writer, student);
      // What was durable before the store is asked must still be there; what becomes so meanwhile may be missing.
      const known = lanes.get(field)?.durable;
      const current = await readState(shard, student, writer);
      if (known && (current.seq < known.seq || (current.seq === known.seq && current.chain !== known.chain))) {
        const lost = lostData({ student, writer, durable: known }, current);
        shard.lose(lost);
        throw lost;
      }
      const shared = lanes.get(field);
      if (shared) catchUp(shared, current);
      // Its listeners may have left when they were told.
      const lane = lanes.get(field) ?? createLane(student, writer, current);
      lanes.set(field, lane);
      lane.listeners.push(listener);
      return lane;
    },

    detach(lane, listener) {
      const index = lane.listeners.indexOf(listener);
      if (index >= 0) lane.listeners.splice(index, 1);
      forgetIfIdle(lane);
    },

    refuseAll(kind) {
      for (const lane of [...lanes.values()]) if (!isSettled(lane)) refuse(lane, kind);
    },

    clear: () => lanes.clear(),
  };
}

/** What was durable for certain is stored no longer. */
export function lostData(lane: Pick<LaneRecord, 'student' | 'writer' | 'durable'>, current: State | null): Problem {
  return problem(
    'shard_lost',
    `writer ${lane.writer} stands at seq ${current?.seq ?? 0}, but ${lane.durable.seq} was durable: data is lost`,
    'Stop this Redis and attach the volume that holds the newest append-only file; never serve from this one.',
  );
}
