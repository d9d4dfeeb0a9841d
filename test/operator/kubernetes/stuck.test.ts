import { expect, test } from 'vitest';
import { createStuckWatch } from '#operator/kubernetes/stuck.ts';
import { statusOfPast } from '#test/operator/facts.ts';

const minute = 60_000;

test('a session is stuck when no pass succeeds for five minutes', () => {
  let time = 0;
  const watch = createStuckWatch(() => time);
  watch.passed('a', statusOfPast());
  time = 4 * minute;
  watch.failed('a');
  expect(watch.count()).toBe(0);
  time = 6 * minute;
  expect(watch.count()).toBe(1);
  watch.passed('a', statusOfPast());
  expect(watch.count()).toBe(0);
});

test('a session is stuck when its phase lasts too long, however well its passes go', () => {
  let time = 0;
  const watch = createStuckWatch(() => time);
  for (; time <= 11 * minute; time += minute) {
    watch.passed('provisioning', statusOfPast({ phase: 'Provisioning' }));
    watch.passed('exam', statusOfPast({ phase: 'Active' }));
  }
  expect(watch.count()).toBe(1);
  expect(watch.phases()).toEqual({ Provisioning: 1, Active: 1 });
  watch.forget('provisioning');
  expect(watch.count()).toBe(0);
});

test('a long grace is nobody being stuck', () => {
  let time = 0;
  const watch = createStuckWatch(
    () => time,
    () => time,
  );
  const draining = statusOfPast({ phase: 'Draining', drainUntil: 60 * minute });
  watch.passed('a', draining);
  time = 30 * minute;
  watch.passed('a', draining);
  expect(watch.count()).toBe(0);
  time = 61 * minute;
  watch.passed('a', draining);
  expect(watch.count()).toBe(1);
});
