import { crc32 } from 'node:zlib';
import { limits } from './limits.ts';

/** A writer id: made at random by one client outbox for itself. Without `:`, which ends it in the field of `writers`. */
const writerPattern = /^[A-Za-z0-9_-]{8,64}$/;

/** Unicode's category Cc is exactly C0 (with NUL), DEL and C1. */
const controlCharacter = /\p{Cc}/u;

/**
 * Tells what is wrong with a student id, or null when it is one: well-formed, NFC-normalised text without control
 * characters, 1 to `limits.studentBytes` bytes of UTF-8. Without these rules two ids could look the same, become the
 * same bytes, or break a line of a report.
 */
export function checkStudent(student: string): string | null {
  if (student === '') return 'the student id is empty';
  // Three bytes are the most that one UTF-16 unit needs: a cheap bound before the text is looked at.
  if (student.length > limits.studentBytes || Buffer.byteLength(student) > limits.studentBytes) {
    return `the student id is longer than ${limits.studentBytes} bytes`;
  }
  if (!student.isWellFormed()) return 'the student id has a lone surrogate';
  if (controlCharacter.test(student)) return 'the student id has a control character';
  if (student.normalize('NFC') !== student) return 'the student id is not in Unicode form NFC';
  return null;
}

/** Tells what is wrong with a writer id, or null when it is one. */
export function checkWriter(writer: string): string | null {
  return writerPattern.test(writer) ? null : 'the writer id is not 8 to 64 of the characters A-Z a-z 0-9 _ -';
}

/**
 * The shard that holds everything of a student, from 0 on: crc32 (IEEE, as zlib) of the UTF-8 bytes, mod `shards`.
 * The number of shards of a session never changes, or students would lose sight of their answers.
 */
export function shardOf(student: string, shards: number): number {
  return crc32(student) % shards;
}
