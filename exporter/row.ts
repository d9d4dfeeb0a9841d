import type { QueueEvent } from '#queue/codec.ts';

/** One row of the target: one event of one student. `columns` names them as every target does. */
export interface Row {
  readonly exam: string;
  readonly sessionUid: string;
  readonly student: string;
  /** Place among the student's events, from 1, in the order of the log. */
  readonly orderNo: number;
  readonly writer: string;
  readonly seq: number;
  /**
   * The event's JSON as it was sent, as UTF-8. A sink keeps it in a column of text: such bytes are always well-formed
   * and hold no NUL, and must come back the same. It may share memory with the log: a sink that outlives the batch
   * copies it.
   */
  readonly payload: Buffer;
  /** ms since 1970, the gateway's clock. Any value that Redis's batches can hold, up to 2^48-1 (the year 10889). */
  readonly receivedAt: number;
  /** ms since 1970, the clock of Redis. */
  readonly durableAt: number;
  readonly late: boolean;
  readonly shard: number;
}

/** The columns of the target, in the order in which they are made. */
export const columns = [
  'EXAM',
  'SESSION_UID',
  'STUDENT',
  'ORDER_NO',
  'WRITER',
  'SEQ',
  'PAYLOAD',
  'RECEIVED_AT',
  'DURABLE_AT',
  'LATE',
  'SHARD',
] as const;

export type Column = (typeof columns)[number];

/** What an event does not say itself. */
export interface RowPlace {
  readonly exam: string;
  readonly sessionUid: string;
  readonly shard: number;
  readonly durableAt: number;
  readonly orderNo: number;
}

/** The row of an event. */
export function rowOf(event: QueueEvent, place: RowPlace): Row {
  return {
    exam: place.exam,
    sessionUid: place.sessionUid,
    student: event.student,
    orderNo: place.orderNo,
    writer: event.writer,
    seq: event.seq,
    payload: event.payload,
    receivedAt: event.receivedAt,
    durableAt: place.durableAt,
    late: event.late,
    shard: place.shard,
  };
}
