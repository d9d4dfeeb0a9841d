import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createLoop, type PassResult } from '#operator/loop.ts';
import { until } from '#test/support/until.ts';

const never: PassResult = { requeueAfterMs: null };
const onError = () => {};

/** A pass that ends when it is told to. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<PassResult>();
  return { pass: promise, open: () => resolve(never) };
}

describe('the loop', () => {
  test('makes one pass of many enqueues before it, and one more of many during it', async () => {
    const first = gate();
    const passes: string[] = [];
    const loop = createLoop({
      pass: (key) => {
        passes.push(key);
        return passes.length === 1 ? first.pass : Promise.resolve(never);
      },
      onError,
    });
    for (let i = 0; i < 10; i++) loop.enqueue('a');
    await until(() => passes.length === 1, { what: 'the first pass' });
    for (let i = 0; i < 10; i++) loop.enqueue('a');
    first.open();
    await until(() => passes.length === 2, { what: 'the pass after it' });
    await sleep(20);
    expect(passes).toEqual(['a', 'a']);
    await loop.stop();
  });

  test('never runs two passes of one key at a time, and no more keys than workers', async () => {
    let running = 0;
    let most = 0;
    const perKey = new Map<string, number>();
    const loop = createLoop({
      workers: 3,
      pass: async (key) => {
        running += 1;
        most = Math.max(most, running);
        perKey.set(key, (perKey.get(key) ?? 0) + 1);
        expect(perKey.get(key)).toBe(1);
        await sleep(2);
        perKey.set(key, 0);
        running -= 1;
        return never;
      },
      onError,
    });
    for (let i = 0; i < 200; i++) {
      loop.enqueue(`key ${i % 7}`);
      if (i % 20 === 0) await sleep(1);
    }
    await until(() => running === 0, { what: 'all passes to end' });
    expect(most).toBe(3);
    await loop.stop();
  });

  test('comes back after the time that a pass asks for', async () => {
    let passes = 0;
    const loop = createLoop({
      pass: async () => {
        passes += 1;
        return { requeueAfterMs: passes < 3 ? 5 : null };
      },
      onError,
    });
    loop.enqueue('a');
    await until(() => passes === 3, { what: 'three passes' });
    await sleep(30);
    expect(passes).toBe(3);
    await loop.stop();
  });

  test('backs off after errors, longer each time, and not after a good pass', async () => {
    const waits: number[] = [];
    let passes = 0;
    const loop = createLoop({
      backoffMs: 4,
      backoffMostMs: 10,
      pass: async () => {
        passes += 1;
        if (passes === 5) return { requeueAfterMs: 1 };
        if (passes === 7) return never;
        throw new Error('down');
      },
      onError: (_, __, retryMs) => waits.push(retryMs),
    });
    loop.enqueue('a');
    await until(() => passes === 7, { what: 'seven passes' });
    expect(waits).toEqual([4, 8, 10, 10, 4]);
    await loop.stop();
  });

  test('does not make a change wait for a backoff', async () => {
    let passes = 0;
    const loop = createLoop({
      backoffMs: 60_000,
      pass: async () => {
        passes += 1;
        if (passes === 1) throw new Error('down');
        return never;
      },
      onError,
    });
    loop.enqueue('a');
    await until(() => passes === 1, { what: 'the pass that fails' });
    await sleep(1);
    loop.enqueue('a');
    await until(() => passes === 2, { what: 'the pass after the change' });
    await loop.stop();
  });

  test('stops after the pass that runs, and starts no other', async () => {
    const first = gate();
    let passes = 0;
    const loop = createLoop({
      pass: () => {
        passes += 1;
        return first.pass;
      },
      onError,
    });
    loop.enqueue('a');
    await until(() => passes === 1, { what: 'the pass' });
    loop.enqueue('a');
    const stopped = loop.stop();
    loop.enqueue('b');
    first.open();
    await stopped;
    await sleep(10);
    expect(passes).toBe(1);
  });
});
