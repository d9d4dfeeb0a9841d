import { describe, expect, it } from 'vitest';
import { summarizeAcks } from '#gateway/acktimes.ts';
import { createAdmission } from '#gateway/admission.ts';
import { defaultLimits } from '#gateway/config.ts';
import * as records from '#gateway/records.ts';
import { textFrame } from '#gateway/textframe.ts';
import { isTold, readTold } from '#gateway/told.ts';
import { createAckHistogram } from '#queue/ackhistogram.ts';

describe('a record', () => {
  it('is ASCII, whatever it says, and says the same', () => {
    const text = 'Prüfung \u007f \u2028 🎓 \u001e "x" \\';
    for (const record of [
      records.call('Announcement', text),
      records.failed('1', text),
      records.answered('1', { text }),
    ]) {
      expect([...record.slice(0, -1)].every((char) => char >= ' ' && char <= '~')).toBe(true);
      expect(JSON.stringify(JSON.parse(record.slice(0, -1)))).toContain(JSON.stringify(text));
    }
    expect(records.closing('why', false)).toBe('{"type":7,"error":"why"}\u001e');
  });
});

describe('a text frame', () => {
  it.each([0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 200_000])(
    'of %i bytes has the header of RFC 6455',
    (length) => {
      const frame = Buffer.from(textFrame('x'.repeat(length)), 'latin1');
      expect(frame[0]).toBe(0x81);
      const short = frame[1]!;
      const [told, header] =
        short < 126 ? [short, 2] : short === 126 ? [frame.readUInt16BE(2), 4] : [Number(frame.readBigUInt64BE(2)), 10];
      expect(told).toBe(length);
      expect(frame.length).toBe(header + length);
    },
  );
});

describe('what a client was told', () => {
  const chain = 'a'.repeat(64);

  it.each([
    [null, null],
    [3, { seq: 3, chain: null, incarnation: null }],
    [{ seq: 3 }, { seq: 3, chain: null, incarnation: null }],
    [
      { seq: 3, chain, incarnation: 'i' },
      { seq: 3, chain, incarnation: 'i' },
    ],
    [
      { seq: 3, chain: null, incarnation: null },
      { seq: 3, chain: null, incarnation: null },
    ],
    ['3', undefined],
    [-1, undefined],
    [{ seq: 1.5 }, undefined],
    [{ seq: 3, chain: 'x' }, undefined],
    [{ seq: 3, incarnation: 7 }, undefined],
    [[], undefined],
    [true, undefined],
  ])('is read: %j', (value, told) => {
    expect(readTold(value)).toEqual(told);
  });

  it.each([
    ['the same', { seq: 3, chain, incarnation: 'i' }, 3, true],
    ['less', { seq: 2, chain: 'b'.repeat(64), incarnation: 'i' }, 3, true],
    ['more', { seq: 4, chain, incarnation: 'i' }, 3, false],
    ['more under another incarnation', { seq: 4, chain, incarnation: 'j' }, 3, true],
    ['more, of no incarnation', { seq: 4, chain: null, incarnation: null }, 3, false],
    ['another history', { seq: 3, chain: 'b'.repeat(64), incarnation: 'i' }, 3, false],
    ['nothing', { seq: 0, chain: 'b'.repeat(64), incarnation: 'i' }, 0, true],
  ])('%s', (_, told, seq, holds) => {
    expect(isTold(told, { seq, chain }, 'i')).toBe(holds);
  });
});

describe('admission', () => {
  const of = (changes: { connections?: number; lag?: number } = {}) =>
    createAdmission({
      capacity: 10,
      limits: { ...defaultLimits, connectionsPerSecond: 1, connectionBurst: 2 },
      connections: () => changes.connections ?? 0,
      loopLagMs: () => changes.lag ?? 0,
    });

  it('lets in until there is a reason not to', () => {
    expect(of().judge(Date.now(), true)).toBeNull();
    expect(of({ connections: 10 }).judge(Date.now(), true)).toMatchObject({ reason: 'capacity' });
    expect(of({ lag: 2_000 }).judge(Date.now(), true)).toMatchObject({ reason: 'busy' });
    const full = of();
    const now = Date.now();
    expect([1, 2, 3].map(() => full.judge(now, true)?.reason)).toEqual([undefined, undefined, 'rate']);
    expect(full.judge(now, false)).toBeNull();
    full.shut();
    expect(full.judge(now, false)).toEqual({ reason: 'restart', retryAfterSeconds: expect.any(Number) });
  });
});

describe('acknowledgement times', () => {
  it('of several shards add up', () => {
    const [first, second, none] = [createAckHistogram(), createAckHistogram(), createAckHistogram()];
    for (let ms = 1; ms <= 98; ms++) first.record(2);
    second.record(40);
    second.record(50);
    const times = [first, second, none].map((one) => one.times());
    expect(summarizeAcks(times)).toEqual({ p50: 2, p99: 40, max: 50, count: 100 });
    expect(summarizeAcks([])).toEqual({ p50: 0, p99: 0, max: 0, count: 0 });
  });
});
