import { hash } from 'node:crypto';
import { limits } from '#queue/limits.ts';

/** What log and target both say of an event, apart from where it stands. Made from the log without `rowOf`. */
export interface Mark {
  readonly writer: string;
  readonly seq: number;
  readonly payload: Buffer;
  readonly receivedAt: number;
  readonly durableAt: number;
  readonly late: boolean | null;
}

/** All events of one student, in order, as one digest: two trails are equal only when every mark and the order are. */
export interface Trail {
  readonly rows: number;
  readonly digest: string;
}

export const emptyTrail: Trail = { rows: 0, digest: '0'.repeat(64) };

const digestBytes = 32;
const numbersBytes = 3 * 8 + 1 + 4;
const scratch = Buffer.allocUnsafeSlow(digestBytes + numbersBytes + 256 + limits.payloadBytes);

/** The trail after one more event: SHA-256 over the digest before and all of the mark, its lengths included. */
export function nextTrail({ rows, digest }: Trail, mark: Mark): Trail {
  const { writer, payload } = mark;
  const writerBytes = Buffer.byteLength(writer);
  const size = digestBytes + numbersBytes + writerBytes + payload.length;
  // A target that was tampered with may hold anything, of any length.
  const bytes = size <= scratch.length ? scratch : Buffer.allocUnsafe(size);
  bytes.write(digest, 0, digestBytes, 'hex');
  let at = bytes.writeDoubleBE(mark.receivedAt, digestBytes);
  at = bytes.writeDoubleBE(mark.durableAt, at);
  at = bytes.writeDoubleBE(mark.seq, at);
  at = bytes.writeUInt8(mark.late === null ? 2 : Number(mark.late), at);
  at = bytes.writeUInt32BE(writerBytes, at);
  at += bytes.write(writer, at);
  bytes.set(payload, at);
  return { rows: rows + 1, digest: hash('sha256', bytes.subarray(0, size), 'hex') };
}
