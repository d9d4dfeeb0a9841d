import { isUtf8 } from 'node:buffer';
import { checkStudent, checkWriter } from './identity.ts';
import { limits } from './limits.ts';
import { type Problem, problem } from './problem.ts';

/** One event as it stands in a batch. `receivedAt` is in ms since 1970 by the gateway's clock. */
export interface QueueEvent {
  readonly student: string;
  readonly writer: string;
  readonly seq: number;
  readonly receivedAt: number;
  readonly late: boolean;
  readonly payload: Buffer;
}

// The layout, big-endian (PROTOCOL.md, "Batches"):
//   u32 length of what follows | u8 flags | u48 received at | u32 seq | head | payload
//   head = u8 length, student in UTF-8 | u8 length, writer in ASCII
const flagsAt = 4;
const receivedAtAt = 5;
const seqAt = 11;
const headAt = 15;

/** Bit 0 of the flags: the event came after deadline and grace and the session marks such events. Others are 0. */
const lateFlag = 1;

const maxReceivedAt = 2 ** 48 - 1;
const maxU32 = 2 ** 32 - 1;

/**
 * Student and writer as every event of theirs begins, made once a lane.
 * @param student admitted by `checkStudent`
 * @param writer admitted by `checkWriter`
 */
export function eventHead(student: string, writer: string): Buffer {
  const wrong = checkStudent(student) ?? checkWriter(writer);
  if (wrong) throw new RangeError(wrong);
  const studentBytes = Buffer.byteLength(student);
  const head = Buffer.allocUnsafeSlow(2 + studentBytes + writer.length);
  head[0] = studentBytes;
  head.write(student, 1, 'utf8');
  head[1 + studentBytes] = writer.length;
  head.write(writer, 2 + studentBytes, 'latin1');
  return head;
}

/** Bytes that {@link packInto} writes. */
export function packedBytes(head: Uint8Array, payload: Uint8Array): number {
  return headAt + head.length + payload.length;
}

/**
 * Packs one event at `offset` and returns the offset after it. For the gateway's flush, which fills one buffer again
 * and again: nothing is allocated. RangeError when the event does not fit the target or a number not its field.
 * @param head made by {@link eventHead}
 * @param payload admitted by `admitPayload`
 */
export function packInto(
  target: Buffer,
  offset: number,
  head: Uint8Array,
  seq: number,
  receivedAt: number,
  late: boolean,
  payload: Uint8Array,
): number {
  const body = offset + headAt;
  const end = body + head.length + payload.length;
  if (end > target.length)
    throw new RangeError(`an event that ends at byte ${end} does not fit ${target.length} bytes`);
  if (payload.length < 1 || payload.length > limits.payloadBytes) {
    throw new RangeError(`a payload cannot have ${payload.length} bytes`);
  }
  if (!Number.isInteger(seq) || seq < 1 || seq > maxU32) throw new RangeError(`${seq} is not a seq`);
  if (!Number.isInteger(receivedAt) || receivedAt < 0 || receivedAt > maxReceivedAt) {
    throw new RangeError(`${receivedAt} is not a time in ms since 1970`);
  }
  target.writeUInt32BE(end - offset - flagsAt, offset);
  target[offset + flagsAt] = late ? lateFlag : 0;
  target.writeUIntBE(receivedAt, offset + receivedAtAt, 6);
  target.writeUInt32BE(seq, offset + seqAt);
  target.set(head, body);
  target.set(payload, body + head.length);
  return end;
}

/** Packs a whole batch into a new buffer. The caps of a batch are the append script's, not checked here. */
export function packEvents(events: readonly QueueEvent[]): Buffer {
  const heads = events.map((event) => eventHead(event.student, event.writer));
  const size = events.reduce((sum, event, i) => sum + packedBytes(heads[i]!, event.payload), 0);
  const batch = Buffer.allocUnsafe(size);
  let offset = 0;
  events.forEach((event, i) => {
    offset = packInto(batch, offset, heads[i]!, event.seq, event.receivedAt, event.late, event.payload);
  });
  return batch;
}

/**
 * Takes a batch apart. Everything is checked but the payloads' JSON: anything that {@link packInto} cannot have
 * written (a truncation at any byte, a length that leads outside, an unknown flag, an id that breaks its rule) is
 * Problem `batch_corrupt`, and no event is returned. Payloads share memory with `batch`: copy them to outlive it.
 */
export function unpackEvents(batch: Buffer): QueueEvent[] {
  const events: QueueEvent[] = [];
  const heads: Heads = new Map();
  let offset = 0;
  while (offset < batch.length) {
    if (batch.length - offset < headAt) throw corrupt(offset, 'ends within an event');
    const end = offset + flagsAt + batch.readUInt32BE(offset);
    if (end > batch.length) throw corrupt(offset, 'ends within an event');
    events.push(unpackEvent(batch, offset, end, heads));
    offset = end;
  }
  return events;
}

/** Heads of this batch that were already read and checked, by their bytes: a batch has many events of few writers. */
type Heads = Map<string, { readonly student: string; readonly writer: string }>;

function unpackEvent(batch: Buffer, offset: number, end: number, heads: Heads): QueueEvent {
  const studentEnd = lengthFieldEnd(batch, offset + headAt, offset, end);
  const writerEnd = lengthFieldEnd(batch, studentEnd, offset, end);
  const flags = batch[offset + flagsAt]!;
  if ((flags & ~lateFlag) !== 0) throw corrupt(offset, `has unknown flags ${flags}`);
  const seq = batch.readUInt32BE(offset + seqAt);
  if (seq === 0) throw corrupt(offset, 'has no seq');
  const payloadBytes = end - writerEnd;
  if (payloadBytes < 1 || payloadBytes > limits.payloadBytes)
    throw corrupt(offset, `has ${payloadBytes} payload bytes`);
  const { student, writer } = readHead(batch, offset, studentEnd, writerEnd, heads);
  return {
    student,
    writer,
    seq,
    receivedAt: batch.readUIntBE(offset + receivedAtAt, 6),
    late: flags === lateFlag,
    payload: batch.subarray(writerEnd, end),
  };
}

/** Where the text that begins with a length at `at` ends: inside of the event, or the batch is corrupt. */
function lengthFieldEnd(batch: Buffer, at: number, offset: number, end: number): number {
  const textEnd = at < end ? at + 1 + batch[at]! : Number.POSITIVE_INFINITY;
  if (textEnd > end) throw corrupt(offset, 'has a length that leads outside of it');
  return textEnd;
}

function readHead(batch: Buffer, offset: number, studentEnd: number, writerEnd: number, heads: Heads) {
  const key = batch.toString('latin1', offset + headAt, writerEnd);
  const known = heads.get(key);
  if (known) return known;
  const studentBytes = batch.subarray(offset + headAt + 1, studentEnd);
  const head = { student: studentBytes.toString(), writer: batch.toString('latin1', studentEnd + 1, writerEnd) };
  const wrong = isUtf8(studentBytes) ? (checkStudent(head.student) ?? checkWriter(head.writer)) : 'not UTF-8';
  if (wrong) throw corrupt(offset, `has a bad student or writer: ${wrong}`);
  heads.set(key, head);
  return head;
}

function corrupt(offset: number, what: string): Problem {
  return problem(
    'batch_corrupt',
    `the event at byte ${offset} of a batch ${what}`,
    'The log is damaged: keep the volume, restore a copy of its append-only file, and export from that.',
  );
}
