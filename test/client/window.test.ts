import fc from 'fast-check';
import { expect, test } from 'vitest';
import { confirmUpTo, reopenAt, rewindTo, type SendWindow, takeNext } from '#client/window.ts';

const limit = 5;

type Step =
  | { do: 'store' }
  | { do: 'take' }
  | { do: 'confirm'; seq: number }
  | { do: 'rewind'; seq: number }
  | { do: 'reopen'; seq: number };

const seq = fc.nat(30);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>({ do: 'store' }),
  fc.constant<Step>({ do: 'take' }),
  seq.map((n): Step => ({ do: 'confirm', seq: n })),
  seq.map((n): Step => ({ do: 'rewind', seq: n })),
  seq.map((n): Step => ({ do: 'reopen', seq: n })),
);

test('whatever is said in whatever order: 0 <= durable <= sent <= stored, at most `limit` in flight, no seq left out', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const window: SendWindow = { limit, stored: 0, sent: 0, durable: 0 };
      for (const one of steps) {
        const before = { ...window };
        if (one.do === 'store') window.stored++;
        if (one.do === 'take') {
          const taken = takeNext(window);
          const mayTake = before.sent < before.stored && before.sent - before.durable < limit;
          expect(taken).toBe(mayTake ? before.sent + 1 : 0);
        }
        if (one.do === 'confirm') {
          const moved = confirmUpTo(window, one.seq);
          // Never believes what it has not sent, never goes back.
          expect(window.durable).toBe(Math.max(before.durable, Math.min(one.seq, before.sent)));
          expect(moved).toBe(window.durable > before.durable);
        }
        if (one.do === 'rewind') {
          expect(rewindTo(window, one.seq)).toBe(one.seq > before.durable);
          expect(window.durable).toBe(before.durable);
        }
        // The caller compares first, and a server ahead of the outbox is a fork.
        if (one.do === 'reopen' && one.seq <= before.stored) {
          reopenAt(window, one.seq);
          expect([window.durable, window.sent]).toEqual([one.seq, one.seq]);
        }
        expect(window.durable).toBeGreaterThanOrEqual(0);
        expect(window.sent).toBeGreaterThanOrEqual(window.durable);
        expect(window.stored).toBeGreaterThanOrEqual(window.sent);
        expect(window.sent - window.durable).toBeLessThanOrEqual(limit);
      }
    }),
  );
});
