import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTimers } from '#client/timers.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('runs each task once, in order of time, not before its time and at most one resolution after it', () => {
  const timers = createTimers(25);
  const ran: [number, number][] = [];
  for (const ms of [400, 10, 0, 30_000, 10, 300]) timers.after(ms, () => ran.push([ms, performance.now()]));
  const start = performance.now();
  vi.advanceTimersByTime(40_000);
  expect(ran.map(([ms]) => ms)).toEqual([0, 10, 10, 300, 400, 30_000]);
  for (const [ms, at] of ran) {
    expect(at - start).toBeGreaterThanOrEqual(ms);
    expect(at - start).toBeLessThanOrEqual(ms + 26);
  }
});

test('a cancelled task does not run, also when its bucket is running already', () => {
  const timers = createTimers(25);
  const ran: string[] = [];
  let cancelThird = () => {};
  timers.after(100, () => {
    ran.push('first');
    cancelThird();
  });
  timers.after(100, () => ran.push('second'));
  cancelThird = timers.after(100, () => ran.push('third'));
  timers.after(50, () => ran.push('never'))();
  vi.advanceTimersByTime(1_000);
  expect(ran).toEqual(['first', 'second']);
});

test('thousands of waits are one timer, and none is left when nobody waits', () => {
  const timers = createTimers();
  const cancels = Array.from({ length: 4_000 }, (_, i) => timers.after(15_000 + i, () => {}));
  expect(vi.getTimerCount()).toBe(1);
  for (const cancel of cancels) cancel();
  expect(vi.getTimerCount()).toBe(0);
  timers.after(5, () => {});
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(50);
  expect(vi.getTimerCount()).toBe(0);
});

test('an earlier wait moves the timer, and a task may add and cancel waits', () => {
  const timers = createTimers(10);
  const ran: string[] = [];
  const cancelLate = timers.after(10_000, () => ran.push('late'));
  timers.after(20, () => {
    ran.push('soon');
    cancelLate();
    timers.after(0, () => ran.push('added'));
  });
  vi.advanceTimersByTime(60);
  expect(ran).toEqual(['soon', 'added']);
  expect(vi.getTimerCount()).toBe(0);
});

test('a task that throws surfaces as uncaught and stops no other', async () => {
  const timers = createTimers(10);
  const uncaught: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => uncaught.push(error));
  try {
    const ran: string[] = [];
    timers.after(10, () => {
      throw new Error('mine');
    });
    timers.after(10, () => ran.push('other'));
    vi.advanceTimersByTime(100);
    await nextTurn();
    expect(ran).toEqual(['other']);
    expect(uncaught).toEqual([new Error('mine')]);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
});
