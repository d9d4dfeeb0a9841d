import type { Row } from '../../row.ts';

// The binary format of COPY (https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY): a header of 19
// bytes, the tuples (int16 count of fields; each an int32 length, -1 for null, and that many bytes), an int16 -1.
// Integers are big-endian, text is UTF-8, a timestamp is an int64 of microseconds since 2000.

/** Names and types of what is staged, in the order in which it travels. POSITION is the place in the shard's log. */
export const stagedColumns = [
  ['POSITION', 'bigint'],
  ['STUDENT', 'text'],
  ['ORDER_NO', 'integer'],
  ['WRITER', 'text'],
  ['SEQ', 'integer'],
  ['PAYLOAD', 'text'],
  ['RECEIVED_AT', 'timestamptz(3)'],
  ['DURABLE_AT', 'timestamptz(3)'],
  ['LATE', 'boolean'],
] as const;

const header = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const trailer = Buffer.from([0xff, 0xff]);
const epoch2000 = 946_684_800_000;
const chunkBytes = 262_144;
/** Of a staged tuple, apart from its texts. */
const fixedBytes = 2 + 4 * stagedColumns.length + 3 * 8 + 2 * 4 + 1;

/**
 * Rows as they are staged, in chunks of about 256 KiB, whatever the batches are. A chunk is not touched again once it
 * was given away, and shares no memory with the rows.
 */
export async function* encodeStaged(batches: AsyncIterable<readonly Row[]>): AsyncGenerator<Buffer, void, undefined> {
  yield header;
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let used = 0;
  let position = 0;
  for await (const batch of batches) {
    for (const row of batch) {
      // UTF-8 is at most three bytes a code unit.
      const most = fixedBytes + 3 * (row.student.length + row.writer.length) + row.payload.length;
      if (used + most > chunk.length) {
        if (used > 0) yield chunk.subarray(0, used);
        chunk = Buffer.allocUnsafe(Math.max(chunkBytes, most));
        used = 0;
      }
      used = writeRow(chunk, used, row, position);
      position += 1;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
  yield trailer;
}

function writeRow(to: Buffer, from: number, row: Row, position: number): number {
  let at = to.writeInt16BE(stagedColumns.length, from);
  at = to.writeInt32BE(8, at);
  at = writeInt64(to, position, at);
  at = writeText(to, row.student, at);
  at = writeInt32(to, row.orderNo, at);
  at = writeText(to, row.writer, at);
  at = writeInt32(to, row.seq, at);
  at = to.writeInt32BE(row.payload.length, at);
  to.set(row.payload, at);
  at = writeTime(to, row.receivedAt, at + row.payload.length);
  at = writeTime(to, row.durableAt, at);
  at = to.writeInt32BE(1, at);
  return to.writeUInt8(row.late ? 1 : 0, at);
}

function writeText(to: Buffer, text: string, at: number): number {
  const bytes = to.write(text, at + 4);
  to.writeInt32BE(bytes, at);
  return at + 4 + bytes;
}

function writeInt32(to: Buffer, value: number, at: number): number {
  return to.writeInt32BE(value, to.writeInt32BE(4, at));
}

function writeTime(to: Buffer, ms: number, at: number): number {
  const start = to.writeInt32BE(8, at);
  const micros = (ms - epoch2000) * 1_000;
  // Beyond the year 2285 numbers are no longer exact.
  if (Number.isSafeInteger(micros)) return writeInt64(to, micros, start);
  return to.writeBigInt64BE(BigInt(ms - epoch2000) * 1_000n, start);
}

/** Without BigInt, which is slow. */
function writeInt64(to: Buffer, value: number, at: number): number {
  const high = Math.floor(value / 4_294_967_296);
  return to.writeUInt32BE(value - high * 4_294_967_296, to.writeInt32BE(high, at));
}

/** The fields of one tuple: where each begins and ends in `bytes`; an end before its beginning is a null. */
export interface Tuple {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/**
 * Tuples out of the chunks of a COPY, of any size: calls `take` for each, with an object that is used again for the
 * next. Returns a function for the chunks, and one to be called at their end, which throws when the copy is cut off.
 */
export function tupleReader(fields: number, take: (tuple: Tuple) => void) {
  const starts = new Int32Array(fields);
  const ends = new Int32Array(fields);
  let rest: Buffer = Buffer.alloc(0);
  let begun = false;
  let ended = false;

  /** Where the tuple that begins at `from` ends; -1 when that is not there yet. */
  function walk(bytes: Buffer, from: number): number {
    if (bytes.length < from + 2) return -1;
    const count = bytes.readInt16BE(from);
    if (count === -1) ended = true;
    else if (count !== fields) throw new Error(`a row has ${count} fields, ${fields} were asked for`);
    if (ended) return -1;
    let at = from + 2;
    for (let field = 0; field < fields; field++) {
      if (bytes.length < at + 4) return -1;
      const size = bytes.readInt32BE(at);
      at += 4;
      starts[field] = at;
      ends[field] = at + size;
      if (size > 0) at += size;
    }
    return at <= bytes.length ? at : -1;
  }

  return {
    push(chunk: Buffer): void {
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      let at = 0;
      if (!begun && bytes.length >= header.length) {
        if (!bytes.subarray(0, header.length).equals(header)) throw new Error('this is no binary COPY');
        begun = true;
        at = header.length;
      }
      if (begun) {
        for (let end = walk(bytes, at); end !== -1; end = walk(bytes, at)) {
          take({ bytes, starts, ends });
          at = end;
        }
      }
      rest = bytes.subarray(at);
    },
    end(): void {
      if (!ended) throw new Error('the rows ended in the middle');
    },
  };
}

/** ms since 1970. Exact while it fits; what a batch of the queue can hold does. */
export function readTime(bytes: Buffer, at: number): number {
  const high = bytes.readInt32BE(at);
  const micros = high * 4_294_967_296 + bytes.readUInt32BE(at + 4);
  if (Number.isSafeInteger(micros)) return micros / 1_000 + epoch2000;
  const exact = bytes.readBigInt64BE(at);
  return Number(exact / 1_000n) + Number(exact % 1_000n) / 1_000 + epoch2000;
}

/** An int64 that is a safe integer, as the numbers of rows are; others come out near. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4_294_967_296 + bytes.readUInt32BE(at + 4);
}
