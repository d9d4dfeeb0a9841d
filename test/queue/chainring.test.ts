import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chainAt, createChainRing, cutRing, pushChain, shrinkRing } from '#queue/chainring.ts';
import { limits } from '#queue/limits.ts';

const chainOf = (seq: number, fork: number) => (seq * 7 + fork).toString(16).padStart(64, '0');

const step = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('push' as const), fc.integer({ min: 1, max: 400 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('settle' as const), fc.integer({ min: 0, max: 400 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('cut' as const), fc.constant(0)) },
);

test('a ring knows the newest chains, all that are not durable, and never a wrong one', () => {
  fc.assert(
    fc.property(fc.nat({ max: 1_000 }), fc.array(step, { maxLength: 30 }), (start, steps) => {
      const known = new Map([[start, chainOf(start, 0)]]);
      let ring = createChainRing({ seq: start, chain: chainOf(start, 0) });
      let [durable, head] = [start, start];
      for (const [fork, [act, count]] of steps.entries()) {
        if (act === 'push') {
          for (let i = 0; i < count; i++) {
            head += 1;
            known.set(head, chainOf(head, fork));
            pushChain(ring, chainOf(head, fork), durable);
          }
        }
        if (act === 'settle') durable = Math.min(head, durable + count);
        if (act === 'settle' && durable === head) shrinkRing(ring);
        if (act === 'cut') {
          ring = cutRing(ring, { seq: durable, chain: known.get(durable)! });
          head = durable;
        }
        for (let seq = durable; seq <= head; seq++) expect(chainAt(ring, seq)).toBe(known.get(seq));
        for (let seq = start; seq < durable; seq++) expect([null, known.get(seq)]).toContain(chainAt(ring, seq));
        expect([chainAt(ring, head + 1), chainAt(ring, head + 0.5), chainAt(ring, start - 1)]).toEqual([
          null,
          null,
          null,
        ]);
        if (durable === head) expect(ring.slots?.length ?? 0).toBeLessThanOrEqual(limits.recentChains * 32);
      }
    }),
    { numRuns: 60 },
  );
});

test('an idle lane costs no slots, a short one few', () => {
  const ring = createChainRing({ seq: 0, chain: chainOf(0, 0) });
  expect(ring.slots).toBeNull();
  for (let seq = 1; seq <= 20; seq++) pushChain(ring, chainOf(seq, 0), seq - 1);
  expect(ring.slots).toHaveLength(32 * 32);
  for (let seq = 21; seq <= 5_000; seq++) pushChain(ring, chainOf(seq, 0), seq - 1);
  expect(ring.slots).toHaveLength(limits.recentChains * 32);
  expect(chainAt(ring, 5_000 - limits.recentChains + 1)).not.toBeNull();
  expect(chainAt(ring, 5_000 - limits.recentChains)).toBeNull();
});

test('a cut to a state that it does not know, or knows otherwise, begins anew', () => {
  for (const state of [
    { seq: 9, chain: chainOf(9, 5) },
    { seq: 12, chain: chainOf(12, 0) },
  ]) {
    const ring = createChainRing({ seq: 8, chain: chainOf(8, 0) });
    pushChain(ring, chainOf(9, 0), 8);
    const cut = cutRing(ring, state);
    expect(chainAt(cut, state.seq)).toBe(state.chain);
    expect(chainAt(cut, 8)).toBeNull();
  }
});
