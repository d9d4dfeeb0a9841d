import { nextChain, type State } from './chain.ts';
import { type ChainRing, chainAt, createChainRing, cutRing, pushChain, shrinkRing } from './chainring.ts';
import { eventHead } from './codec.ts';

// A lane: one writer of one student in this process. What it knows, and what it concludes; no I/O, no batches.
//
//   durable <= head       durable: stored, for certain. head: accepted, and chained.
//
//   settled    durable = head, nothing waits
//   pending    durable < head, and the events between are in batches (waiting or flying)
//   behind     durable < head < target: another process has stored more of this writer than this one was offered.
//              The events are in no batch: either they are stored already, or they are a fork. Which of the two, the
//              chains tell once head reaches target; until then nothing is acknowledged.
//
//   settled, pending -> pending     offer: the next seq
//   pending -> settled, pending     an append was acknowledged, or the store stands within what was offered with the
//                                   same chain (a lost reply, or another process that was offered the same)
//   pending -> behind               the store stands beyond head
//   behind -> settled               head reached target, equal chains
//   any -> settled                  drop: refused, forked, superseded; head goes back to what is durable
//
// `epoch` counts the times that events of the lane in batches became void, so that batches need not be searched.

/** Why a lane's waiting events were dropped. */
export type Refusal =
  /** Other bytes are stored under the same seqs: two copies of one outbox. */
  | 'forked'
  | 'late'
  | 'finished'
  | 'quota'
  | 'sealed'
  /** An unknown error: this process no longer serves the shard. */
  | 'broken'
  /** A later connection of the same writer found more stored than this process was offered: open again and resume. */
  | 'superseded';

/** Whoever wants to know what becomes of a lane's events. Never called from within `offer`. */
export interface LaneListener {
  /**
   * Everything of the lane up to `seq` is durable. Connections share lanes, perhaps with copies of their outbox: one of
   * them may only be told as much of it as it has offered itself, without a gap, and heard to be accepted or a repeat.
   */
  durable(seq: number): void;
  /**
   * Everything after `durable` was dropped and will not become durable unless it is offered again. After `forked` and
   * `superseded` the lane has another history than the one that was offered: nothing that a connection has offered
   * before counts as accepted any more, not even at or below `durable`.
   */
  refused(kind: Refusal, durable: State): void;
}

/** A lane as its owner keeps it. */
export interface LaneRecord {
  readonly student: string;
  readonly writer: string;
  /** Student and writer as each packed event begins. */
  readonly packedHead: Buffer;
  durable: State;
  head: State;
  target: State | null;
  ring: ChainRing;
  readonly listeners: LaneListener[];
  /** Whether its events go out marked as late. */
  late: boolean;
  epoch: number;
  /** Its place in the batch that holds its newest events. */
  slot: number;
}

export function createLane(student: string, writer: string, durable: State): LaneRecord {
  return {
    student,
    writer,
    packedHead: eventHead(student, writer),
    durable,
    head: durable,
    target: null,
    ring: createChainRing(durable),
    listeners: [],
    late: false,
    epoch: 0,
    slot: 0,
  };
}

/** Accepts the event after head: chains it. Of a lane that is behind, {@link reachTarget} is to be asked next. */
export function chainEvent(lane: LaneRecord, payload: Buffer): void {
  const { head } = lane;
  lane.head = { seq: head.seq + 1, chain: nextChain(head.chain, payload) };
  pushChain(lane.ring, lane.head.chain, lane.durable.seq);
}

/** What an event at or below head is: compared with what was accepted under its seq, as far as that is remembered. */
export function judgeRepeat(lane: LaneRecord, seq: number, payload: Buffer): 'same' | 'other' | 'unknown' {
  const before = chainAt(lane.ring, seq - 1);
  const after = chainAt(lane.ring, seq);
  if (before === null || after === null) return 'unknown';
  return nextChain(before, payload) === after ? 'same' : 'other';
}

/** An append of this process was acknowledged up to here. */
export function settle(lane: LaneRecord, durable: State): void {
  lane.durable = durable;
  if (durable.seq === lane.head.seq) shrinkRing(lane.ring);
}

/** What follows from a durable state that an answer or a read shows. */
export type Encounter = 'nothing' | 'durable' | 'forked' | 'behind';

/**
 * Takes in that the store stands at `current`, which is at or after what this lane knew to be durable when it was
 * asked. `forked`: the caller is to {@link drop} the lane to `current`. `behind`: the events it holds are void.
 */
export function meet(lane: LaneRecord, current: State): Encounter {
  if (current.seq <= lane.durable.seq) return 'nothing';
  if (current.seq > lane.head.seq) {
    lane.target = current;
    lane.epoch += 1;
    return 'behind';
  }
  if (chainAt(lane.ring, current.seq) !== current.chain) return 'forked';
  settle(lane, current);
  return 'durable';
}

/** Of a lane that is behind, after an offer: whether head has reached the target, and whether with the same chain. */
export function reachTarget(lane: LaneRecord): Encounter {
  const { target, head } = lane;
  if (target === null || head.seq < target.seq) return 'nothing';
  lane.target = null;
  if (head.chain !== target.chain) return 'forked';
  settle(lane, target);
  return 'durable';
}

/** Voids whatever waits: the lane stands at `durable` again. */
export function drop(lane: LaneRecord, durable: State): void {
  lane.durable = lane.head = durable;
  lane.target = null;
  lane.epoch += 1;
  lane.ring = cutRing(lane.ring, durable);
}

export function isSettled(lane: LaneRecord): boolean {
  return lane.durable.seq === lane.head.seq;
}
