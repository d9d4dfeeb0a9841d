import { expect, test } from 'vitest';
import { createSteadyClock } from '#operator/kubernetes/runtime/steadyclock.ts';

function clocks() {
  const time = { monotonic: 0, wall: 1_000_000 };
  return {
    time,
    clock: createSteadyClock(
      () => time.monotonic,
      () => time.wall,
    ),
  };
}

test('goes on while the machine sleeps', () => {
  const { time, clock } = clocks();
  time.monotonic += 5;
  time.wall += 60_005;
  expect(clock()).toBe(60_005);
  time.monotonic += 5;
  time.wall += 5;
  expect(clock()).toBe(60_010);
});

test('never goes back, and follows no small correction', () => {
  const { time, clock } = clocks();
  time.monotonic += 2_000;
  time.wall -= 3_600_000;
  expect(clock()).toBe(2_000);
  time.monotonic += 2_000;
  time.wall += 2_900;
  expect(clock()).toBe(4_000);
});
