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
  rows: number;
  /** Hex. */
  digest: string;
}

export function emptyTrail(): Trail {
  return { rows: 0, digest: '0'.repeat(2 * digestBytes) };
}

const digestBytes = 32;
const numbersBytes = 3 * 8 + 1 + 4;
const scratch = Buffer.allocUnsafeSlow(digestBytes + numbersBytes + 256 + limits.payloadBytes);

/**
 * Goes on with one more event: the digest becomes SHA-256 over the one before and all of the mark, its lengths included.
 * The trail is changed in place: there are as many steps as events, twice.
 */
export function extendTrail(trail: Trail, mark: Mark): void {
  const { writer, payload } = mark;
  const writerBytes = Buffer.byteLength(writer);
  const size = digestBytes + numbersBytes + writerBytes + payload.length;
  // A target that was tampered with may hold anything, of any length.
  const bytes = size <= scratch.length ? scratch : Buffer.allocUnsafe(size);
  bytes.write(trail.digest, 0, digestBytes, 'hex');
  let at = bytes.writeDoubleBE(mark.receivedAt, digestBytes);
  at = bytes.writeDoubleBE(mark.durableAt, at);
  at = bytes.writeDoubleBE(mark.seq, at);
  at = bytes.writeUInt8(mark.late === null ? 2 : Number(mark.late), at);
  at = bytes.writeUInt32BE(writerBytes, at);
  at += bytes.write(writer, at);
  bytes.set(payload, at);
  trail.rows += 1;
  trail.digest = hash('sha256', bytes.subarray(0, size), 'hex');
}
