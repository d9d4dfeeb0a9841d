import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventHead, packEvents, packedBytes, packInto, type QueueEvent, unpackEvents } from '#queue/codec.ts';
import { limits } from '#queue/limits.ts';
import { isProblem } from '#queue/problem.ts';
import { anyEvent, eventWith } from './arbitraries.ts';

const corrupt = expect.objectContaining({ code: 'batch_corrupt' });

const event: QueueEvent = {
  student: 'José',
  writer: 'writer_1',
  seq: 7,
  receivedAt: 1_790_000_000_123,
  late: true,
  payload: Buffer.from('{"q":1}'),
};

describe('a batch', () => {
  it('has the bytes that PROTOCOL.md draws', () => {
    const fields = [
      '00000021',
      '01',
      '01a0c4506c7b',
      '00000007',
      '054a6f73c3a9',
      '087772697465725f31',
      '7b2271223a317d',
    ];
    expect(packEvents([event]).toString('hex')).toBe(fields.join(''));
  });

  it('is read as it was packed', () => {
    fc.assert(
      fc.property(fc.array(anyEvent), (events) => {
        expect(unpackEvents(packEvents(events))).toEqual(events);
      }),
    );
  });

  it('of no events is empty', () => {
    expect(packEvents([])).toHaveLength(0);
    expect(unpackEvents(Buffer.alloc(0))).toEqual([]);
  });

  it('lends its memory to the payloads', () => {
    const batch = packEvents([event]);
    const [unpacked] = unpackEvents(batch);
    batch.fill(0x78, batch.length - event.payload.length);
    expect(unpacked!.payload.toString()).toBe('xxxxxxx');
  });
});

describe('packing into a buffer', () => {
  it('fills it event by event, exactly as packEvents, and touches nothing else', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 5 }), fc.nat(9), (events, start) => {
        const expected = packEvents(events);
        const target = Buffer.alloc(start + expected.length + 9, 0xee);
        let offset = start;
        for (const { student, writer, seq, receivedAt, late, payload } of events) {
          const head = eventHead(student, writer);
          const size = packedBytes(head, payload);
          const end = packInto(target, offset, head, seq, receivedAt, late, payload);
          expect(end - offset).toBe(size);
          offset = end;
        }
        expect(target.subarray(start, offset)).toEqual(expected);
        expect(target.subarray(0, start)).toEqual(Buffer.alloc(start, 0xee));
        expect(target.subarray(offset)).toEqual(Buffer.alloc(9, 0xee));
      }),
    );
  });

  it('refuses what could not be read back, before it writes', () => {
    const head = eventHead('ana', 'writer_1');
    const target = Buffer.alloc(100_000);
    const one = Buffer.from('1');
    const pack = (seq: number, receivedAt: number, payload: Buffer, offset = 0) =>
      packInto(target, offset, head, seq, receivedAt, false, payload);
    for (const seq of [0, -1, 1.5, Number.NaN, 2 ** 32]) expect(() => pack(seq, 0, one)).toThrow(RangeError);
    for (const time of [-1, 0.5, Number.NaN, 2 ** 48]) expect(() => pack(1, time, one)).toThrow(RangeError);
    for (const size of [0, limits.payloadBytes + 1]) expect(() => pack(1, 0, Buffer.alloc(size))).toThrow(RangeError);
    expect(() => pack(1, 0, one, target.length - packedBytes(head, one) + 1)).toThrow(RangeError);
    expect(target).toEqual(Buffer.alloc(100_000));
  });

  it('has no head for ids that break the rules', () => {
    expect(() => eventHead('a\nb', 'writer_1')).toThrow(RangeError);
    expect(() => eventHead('x'.repeat(129), 'writer_1')).toThrow(RangeError);
    expect(() => eventHead('ana', 'short')).toThrow(RangeError);
  });
});

describe('a damaged batch', () => {
  it('is refused when it is cut anywhere but between two events', () => {
    const small = eventWith(fc.json({ maxDepth: 1 }).map((json) => Buffer.from(json)));
    fc.assert(
      fc.property(fc.array(small, { minLength: 1, maxLength: 3 }), (events) => {
        const batch = packEvents(events);
        const ends = new Map(events.map((_, i) => [packEvents(events.slice(0, i)).length, i]));
        for (let cut = 0; cut < batch.length; cut++) {
          const whole = ends.get(cut);
          const read = () => unpackEvents(batch.subarray(0, cut));
          if (whole === undefined) expect(read).toThrow(corrupt);
          else expect(read()).toEqual(events.slice(0, whole));
        }
      }),
      { numRuns: 20 },
    );
  });

  it('is refused when a length is wrong', () => {
    const batch = packEvents([event]);
    for (const length of [0, 1, 11, 28, 32, 34, 0xffff, 0xffffffff]) {
      const damaged = Buffer.from(batch);
      damaged.writeUInt32BE(length);
      expect(() => unpackEvents(damaged), `length ${length}`).toThrow(corrupt);
    }
    const writerLengthAt = 15 + 1 + 5;
    for (const at of [15, writerLengthAt]) {
      for (let length = 0; length < 256; length++) {
        if (length === batch[at]) continue;
        const damaged = Buffer.from(batch);
        damaged[at] = length;
        const read = () => unpackEvents(damaged);
        // A writer of 9 or more characters takes some of the payload, and the batch alone cannot tell.
        if (at === writerLengthAt && length > 8 && length < 15) continue;
        expect(read, `byte ${at} is ${length}`).toThrow(corrupt);
      }
    }
  });

  it('is refused when it has unknown flags, seq 0, no payload or too much of it', () => {
    for (let flags = 2; flags < 256; flags++) {
      const damaged = packEvents([event]);
      damaged[4] = flags;
      expect(() => unpackEvents(damaged)).toThrow(corrupt);
    }
    const withoutSeq = packEvents([event]);
    withoutSeq.writeUInt32BE(0, 11);
    expect(() => unpackEvents(withoutSeq)).toThrow(corrupt);
    for (const size of [0, limits.payloadBytes + 1]) {
      const bare = packEvents([event]).subarray(0, -event.payload.length);
      const damaged = Buffer.concat([bare, Buffer.alloc(size, 0x31)]);
      damaged.writeUInt32BE(damaged.length - 4);
      expect(() => unpackEvents(damaged), `${size} bytes`).toThrow(corrupt);
    }
  });

  it('is refused when a student or writer breaks the rules', () => {
    const batch = packEvents([event]);
    for (const bytes of ['054a6f73ff41', '054a6f7365cc', '054a6f730a41', '0565cc814142']) {
      const damaged = Buffer.from(batch);
      damaged.set(Buffer.from(bytes, 'hex'), 15);
      expect(() => unpackEvents(damaged), bytes).toThrow(corrupt);
    }
    const damaged = Buffer.from(batch);
    damaged[22] = 0x3a;
    expect(() => unpackEvents(damaged)).toThrow(corrupt);
  });

  it('is refused, or is the only packing of what is read from it', () => {
    const damage = fc.record({ at: fc.nat(), to: fc.nat(255) });
    const damaged = fc
      .tuple(fc.array(anyEvent, { minLength: 1, maxLength: 3 }), fc.array(damage))
      .map(([events, all]) => {
        const batch = packEvents(events);
        for (const { at, to } of all) batch[at % batch.length] = to;
        return batch;
      });
    const anyBytes = fc.oneof(
      damaged,
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const events = readOrNull(bytes);
        if (events) expect(packEvents(events)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });
});

function readOrNull(bytes: Buffer): QueueEvent[] | null {
  try {
    return unpackEvents(bytes);
  } catch (error) {
    if (isProblem(error) && error.code === 'batch_corrupt') return null;
    throw error;
  }
}
