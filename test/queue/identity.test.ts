import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkStudent, checkWriter, shardOf } from '#queue/identity.ts';
import { anyStudent, anyWriter } from './arbitraries.ts';

/** The rule again, one code point at a time. */
function isStudent(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xdfff)) return false;
  }
  const bytes = new TextEncoder().encode(text).length;
  return bytes >= 1 && bytes <= 128 && text.normalize('NFC') === text;
}

describe('a student id', () => {
  it.each(['a', 'ana@example.edu', 'José', '学生 7', '😀', ' ', "a'b\\c:d", 'x'.repeat(128), 'é'.repeat(64)])(
    'may be %j',
    (student) => expect(checkStudent(student)).toBeNull(),
  );

  it.each([
    ['', 'empty'],
    ['x'.repeat(129), 'longer'],
    [`${'é'.repeat(64)}x`, 'longer'],
    ['a\0b', 'control'],
    ['a\nb', 'control'],
    ['a\u007f', 'control'],
    ['a\u0085', 'control'],
    ['a\ud800', 'surrogate'],
    ['\udc00a', 'surrogate'],
    ['Jose\u0301', 'NFC'],
    ['\u212b', 'NFC'],
  ])('cannot be %j', (student, reason) => expect(checkStudent(student)).toContain(reason));

  it('is judged as the rule says, whatever the text', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 70 }),
      fc.string({ unit: fc.constantFrom('\ud800', '\udc00', 'a', '\u0301', '\u0080', 'é', '\n'), maxLength: 6 }),
    );
    fc.assert(fc.property(anyText, (text) => (checkStudent(text) === null) === isStudent(text)));
  });
});

describe('a writer id', () => {
  it('is 8 to 64 letters, digits, _ and -', () => {
    fc.assert(fc.property(anyWriter, (writer) => checkWriter(writer) === null));
  });

  it.each(['', 'seven77', 'x'.repeat(65), 'with:colon', 'with space', 'newline7\n', 'ünïcödé8'])(
    'cannot be %j',
    (writer) => expect(checkWriter(writer)).toContain('writer'),
  );
});

describe('the shard of a student', () => {
  it('is the crc32 of zlib over the UTF-8 bytes', () => {
    expect(shardOf('123456789', 2 ** 32)).toBe(0xcbf43926);
    expect(shardOf('José', 2 ** 32)).toBe(crc32(Buffer.from('José')));
  });

  it('is one of the shards, and always the same', () => {
    fc.assert(
      fc.property(anyStudent, fc.integer({ min: 1, max: 64 }), (student, shards) => {
        const shard = shardOf(student, shards);
        expect(shard).toBe(crc32(Buffer.from(student)) % shards);
      }),
    );
  });
});

/** CRC-32 bit by bit, with the reflected polynomial of IEEE 802.3. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
