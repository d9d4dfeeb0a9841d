import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Kill, planKills, runChaos } from '#cli/chaos.ts';
import { startProgram } from '#test/support/process.ts';

test('kills are spread over the time and take turns between gateways and Redis', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: 1_000, max: 600_000 }),
      fc.nat(),
      (kills, ms, seed) => {
        const plan = planKills(kills, ms, seed);
        expect(plan).toHaveLength(kills);
        const part = ms / Math.max(kills, 1);
        plan.forEach(({ atMs, target }, i) => {
          expect(atMs).toBeGreaterThanOrEqual(Math.floor(part * i));
          expect(atMs).toBeLessThanOrEqual(Math.ceil(part * (i + 1)));
          if (i > 0) expect(target).not.toBe(plan[i - 1]!.target);
        });
        expect(planKills(kills, ms, seed)).toEqual(plan);
      },
    ),
  );
});

const sleeper = () => startProgram({ argv: [process.execPath, '-e', 'setInterval(() => {}, 1000)'] });

test('kills what runs when the time comes, with SIGKILL, and no process twice', async () => {
  const gateways = [sleeper(), sleeper()];
  const redis = [sleeper()];
  const told: Kill[] = [];
  const kills = await runChaos({
    plan: [
      { atMs: 10, target: 'gateway' },
      { atMs: 20, target: 'redis' },
      { atMs: 30, target: 'gateway' },
    ],
    seed: 1,
    // As a status that is behind: it still names who died.
    pids: () => ({ gateway: gateways.map(({ pid }) => pid), redis: redis.map(({ pid }) => pid) }),
    signal: new AbortController().signal,
    onKill: (kill) => told.push(kill),
  });
  for (const program of [...gateways, ...redis])
    expect(await program.ended()).toEqual({ code: null, signal: 'SIGKILL' });
  expect(kills).toEqual(told);
  expect(kills.map(({ target }) => target)).toEqual(['gateway', 'redis', 'gateway']);
  expect(new Set(kills.map(({ pid }) => pid)).size).toBe(3);
});

test('stops at once when aborted', async () => {
  const abort = new AbortController();
  const running = runChaos({
    plan: [{ atMs: 60_000, target: 'redis' }],
    seed: 1,
    pids: () => ({ gateway: [], redis: [] }),
    signal: abort.signal,
  });
  abort.abort();
  expect(await running).toEqual([]);
});
