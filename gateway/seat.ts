import type { State } from '#queue/chain.ts';
import type { Lane, LaneListener, Refusal } from '#queue/shardwriter.ts';
import { type Connection, closeCodes, closeConnection, pause, pauses, resume, send } from './connection.ts';
import * as records from './records.ts';
import type { ShardLink } from './shardlink.ts';
import type { Student } from './students.ts';

/*
 * A seat: where one connection stands in the exam, and the path that every event takes.
 *
 * shut:    before Open, or while an Open is under way. Submit is answered `open_first`.
 * open:    attached to the lane of one writer. An invocation waits in `waiting` until its event is durable; a send is
 *          covered by the next `Durable`, one a flush and connection.
 * refused: the queue gave a whole lane back (forked, late, ...): everything that waits is answered at once, and the seat
 *          stays open, standing at what is durable.
 */

export interface Seat {
  readonly connection: Connection;
  readonly student: Student;
  readonly link: ShardLink;
  /** The writer that the last Open named, and what was durable of it then. */
  writer: string | null;
  openSeq: number;
  lane: Lane | null;
  listener: LaneListener | null;
  isOpening: boolean;
  isFinishing: boolean;
  /** What Finish waits for, while it does: everything up to `seq` durable, or given back. */
  finishWait: { readonly seq: number; readonly done: () => void } | null;
  /** Invocations that wait for their event to be durable: seqs and ids, in order of arrival. */
  waitingSeqs: number[];
  waitingIds: string[];
  /**
   * Up to here the lane's history is this connection's: told to it by Open, or sent by it, event by event. Only what
   * follows is taken, and only so far is it told `Durable`: else two copies of an outbox would be merged into one.
   */
  provenHigh: number;
  /** The highest seq that came as a send and is accepted, and the highest that `Durable` has told. */
  sentHigh: number;
  toldHigh: number;
  /** A send repeated what is durable: `Durable` is owed at the end of the message. */
  owesDurable: boolean;
  /** The seq that `Resend` asked for last; 0 once an event was accepted since. */
  resendAsked: number;
  /** The deadline that the client knows, ms since 1970; undefined before Open. */
  deadline: number | null | undefined;
}

/** Invocations of one connection that may wait; beyond, the socket is not read until half of them are answered. */
const maxWaiting = 4_096;

export function createSeat(connection: Connection, student: Student, link: ShardLink): Seat {
  return {
    connection,
    student,
    link,
    writer: null,
    openSeq: 0,
    lane: null,
    listener: null,
    isOpening: false,
    isFinishing: false,
    finishWait: null,
    waitingSeqs: [],
    waitingIds: [],
    provenHigh: 0,
    sentHigh: 0,
    toldHigh: 0,
    owesDurable: false,
    resendAsked: 0,
    deadline: undefined,
  };
}

/** Seats the connection at a lane; what was at another one is over. */
export function attachSeat(seat: Seat, lane: Lane, listener: LaneListener): void {
  seat.lane = lane;
  seat.listener = listener;
  seat.provenHigh = seat.sentHigh = seat.toldHigh = lane.durable.seq;
  seat.resendAsked = 0;
}

/** Leaves the lane, if any. Events that were accepted go on; answers that wait end with `error`. */
export function detachSeat(seat: Seat, error: string): void {
  if (seat.lane && seat.listener) seat.link.writer?.detach(seat.lane, seat.listener);
  seat.lane = null;
  seat.listener = null;
  failWaiting(seat, error);
}

/** Hands one event to the queue, and answers as far as there is an answer now. The hot path. */
export function submit(seat: Seat, seq: number, payload: Buffer, invocationId: string | null, now: number): void {
  const { lane } = seat;
  const { writer } = seat.link;
  if (!lane || !writer) {
    refuse(seat, seat.writer === null ? 'open_first' : 'sealed', invocationId);
    return;
  }
  if (seq > seat.provenHigh + 1) {
    askAgain(seat, seat.provenHigh + 1, invocationId);
    return;
  }
  const offer = writer.offer(lane, seq, payload, now);
  switch (offer) {
    case 'accepted':
      seat.link.accepted++;
      seat.resendAsked = 0;
      seat.provenHigh = seq;
      awaitDurable(seat, seq, invocationId);
      break;
    case 'repeat_pending':
      prove(seat, seq);
      awaitDurable(seat, seq, invocationId);
      break;
    case 'repeat_durable':
      prove(seat, seq);
      acknowledge(seat, invocationId);
      break;
    case 'gap':
      askAgain(seat, lane.head.seq + 1, invocationId);
      break;
    case 'unverified':
      void lookUp(seat, lane, seq, payload, invocationId);
      break;
    case 'full':
      refuse(seat, 'full', invocationId);
      closeConnection(seat.connection, closeCodes.tryLater, 'full');
      break;
    default:
      refuse(seat, offer, invocationId);
  }
}

/** The connection sent what the lane has under this seq. */
function prove(seat: Seat, seq: number): void {
  if (seq === seat.provenHigh + 1) seat.provenHigh = seq;
}

function awaitDurable(seat: Seat, seq: number, invocationId: string | null): void {
  if (invocationId === null) {
    if (seq > seat.sentHigh) seat.sentHigh = seq;
    return;
  }
  seat.waitingSeqs.push(seq);
  seat.waitingIds.push(invocationId);
  if (seat.waitingIds.length >= maxWaiting) pause(seat.connection, pauses.window);
}

function acknowledge(seat: Seat, invocationId: string | null): void {
  if (invocationId === null) seat.owesDurable = true;
  else send(seat.connection, records.completed(invocationId));
}

/** A gap: what was sent in one go after it would only ask the same again, so one `Resend` is enough. */
function askAgain(seat: Seat, expected: number, invocationId: string | null): void {
  if (invocationId !== null) {
    send(seat.connection, records.failed(invocationId, `gap:${expected}`));
  } else if (seat.resendAsked !== expected) {
    seat.resendAsked = expected;
    send(seat.connection, records.call('Resend', expected));
  }
}

/** Answers an event that is not taken. A send before Open has no answer that its client could understand. */
export function refuse(seat: Seat, error: string, invocationId: string | null): void {
  if (invocationId !== null) send(seat.connection, records.failed(invocationId, error));
  else if (error === 'open_first') closeConnection(seat.connection, closeCodes.policy, error);
  else send(seat.connection, records.call('Refused', error, seat.lane?.durable.seq ?? seat.openSeq));
}

/** A repeat that nobody here remembers: the log knows whether it is one. */
async function lookUp(
  seat: Seat,
  lane: Lane,
  seq: number,
  payload: Buffer,
  invocationId: string | null,
): Promise<void> {
  const found = await seat.link.lookups.find(seat.link, seat.student, lane, seq, [payload]);
  if (seat.lane !== lane) return refuse(seat, 'reopened', invocationId);
  if (found !== 'same') return refuse(seat, found === 'other' ? 'forked' : 'unverified', invocationId);
  prove(seat, seq);
  acknowledge(seat, invocationId);
  settleSeat(seat);
}

/** Says the `Durable` that repeats are owed: once a message. */
export function settleSeat(seat: Seat): void {
  if (!seat.owesDurable || !seat.lane) return;
  seat.owesDurable = false;
  const seq = Math.min(seat.lane.durable.seq, seat.provenHigh);
  if (seq > seat.toldHigh) seat.toldHigh = seq;
  send(seat.connection, records.durable(seq));
}

/** Everything up to `durable` is durable: answers what waited for it, in one message. Called once a flush. */
export function announceDurable(seat: Seat, durable: number): void {
  const seq = Math.min(durable, seat.provenHigh);
  let text = seat.waitingIds.length > 0 ? takeCompleted(seat, seq) : '';
  if (seat.sentHigh > seat.toldHigh && seq > seat.toldHigh) {
    seat.toldHigh = seq;
    text += records.durable(seq);
  }
  if (text !== '') send(seat.connection, text);
  if (seat.finishWait !== null && durable >= seat.finishWait.seq) seat.finishWait.done();
}

function takeCompleted(seat: Seat, seq: number): string {
  const { waitingSeqs, waitingIds } = seat;
  let text = '';
  let kept = 0;
  for (let index = 0; index < waitingIds.length; index++) {
    if (waitingSeqs[index]! <= seq) {
      text += records.completed(waitingIds[index]!);
      continue;
    }
    // Mostly none is kept, or the last few: seqs come in order, but for repeats.
    waitingSeqs[kept] = waitingSeqs[index]!;
    waitingIds[kept] = waitingIds[index]!;
    kept++;
  }
  waitingSeqs.length = waitingIds.length = kept;
  if (kept <= maxWaiting / 2) resume(seat.connection, pauses.window);
  return text;
}

function failWaiting(seat: Seat, error: string): void {
  if (seat.waitingIds.length > 0) {
    send(seat.connection, seat.waitingIds.map((id) => records.failed(id, error)).join(''));
  }
  seat.waitingSeqs = [];
  seat.waitingIds = [];
  resume(seat.connection, pauses.window);
  seat.finishWait?.done();
}

/** What the wire says of refusals that only mean: open again, here or elsewhere, and go on. */
const passing: Partial<Record<Refusal, string>> = { broken: 'unavailable', superseded: 'unavailable' };

/** The queue gave back what waited: nothing of it will be durable by itself. */
export function announceRefused(seat: Seat, kind: Refusal, durable: State): void {
  const error = passing[kind] ?? kind;
  const hasSends = seat.sentHigh > seat.toldHigh;
  // What was proven of a lane that took another turn may be proven anew, from the first event on.
  const isOther = kind === 'forked' || kind === 'superseded';
  seat.provenHigh = isOther ? 0 : Math.min(seat.provenHigh, durable.seq);
  seat.sentHigh = seat.toldHigh = Math.max(seat.toldHigh, durable.seq);
  seat.resendAsked = 0;
  failWaiting(seat, error);
  if (hasSends) send(seat.connection, records.call('Refused', error, durable.seq));
  if (kind === 'broken') closeConnection(seat.connection, closeCodes.tryLater, error);
}
