import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createReconciler } from '#operator/reconcile.ts';
import { defaultSettings } from '#operator/settings.ts';
import { Crash, crash, modelPlatform, modelQueue, newWorld, pass, setPhase, type World } from './modelworld.ts';

/** A new operator, as after a crash: it knows nothing but what it sees. */
function operatorOf(world: World) {
  const settings = { ...defaultSettings, verifiedLingerSeconds: 5, exportBlockedSeconds: 20 };
  const options = { platform: modelPlatform(world), queue: modelQueue(world), settings, now: () => world.clock };
  return createReconciler(options);
}

/** Passes without crashes until the session is over. */
async function runToEnd(world: World): Promise<void> {
  world.down.clear();
  world.paused = false;
  world.crashIn = Number.POSITIVE_INFINITY;
  const reconcile = operatorOf(world);
  for (let passes = 0; passes < 500; passes++) {
    const { done } = await reconcile();
    if (done) return;
    pass(world, 500);
  }
  throw new Error(`no end: ${JSON.stringify(world.status?.conditions)}`);
}

function expectEnd(world: World): void {
  expect(world.status?.phase).toBe('Completed');
  expect(world.status?.conditions.filter(({ status }) => status === 'True').map(({ type }) => type)).toEqual(
    expect.arrayContaining(['Sealed', 'Exported', 'Verified']),
  );
  expect(world.redis.every(({ sealed, session }) => sealed && session?.verified === world.status?.redis.root)).toBe(
    true,
  );
  expect(world.attempts.filter(({ state }) => state === 'succeeded')).toHaveLength(1);
  expect(world.gateways).toEqual([]);
  expect(world.running).toBe(false);
}

const events = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('passes' as const), count: fc.nat({ max: 6 }) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('crashIn' as const), steps: fc.nat({ max: 15 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('phase' as const), finalizing: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('shardDown' as const), shard: fc.nat({ max: 1 }) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('shardUp' as const), shard: fc.nat({ max: 1 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('gatewaysDie' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('paused' as const), paused: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('statusLost' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('ending' as const), blocked: fc.boolean() }) },
  ),
  { maxLength: 25 },
);

type Event = typeof events extends fc.Arbitrary<(infer E)[]> ? E : never;

async function play(world: World, event: Event): Promise<void> {
  switch (event.kind) {
    case 'phase':
      return setPhase(world, event.finalizing ? 'Finalizing' : 'Active');
    case 'shardDown':
      world.down.add(event.shard);
      return;
    case 'shardUp':
      world.down.delete(event.shard);
      return;
    case 'gatewaysDie':
      world.gateways = world.gateways.map((gateway) => ({ ...gateway, ready: false }));
      return;
    case 'paused':
      world.paused = event.paused;
      return;
    case 'statusLost':
      world.status = null;
      return;
    case 'ending':
      world.endings.push(event.blocked ? 'blocked' : 'failed');
      return;
    case 'crashIn':
      world.crashIn = event.steps;
      return passes(world, 4);
    case 'passes':
      return passes(world, event.count);
  }
}

async function passes(world: World, count: number): Promise<void> {
  const reconcile = operatorOf(world);
  for (let i = 0; i < count; i++) {
    try {
      await reconcile();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      return crash(world);
    }
    pass(world, 700);
  }
}

describe('the life of a session', () => {
  test('reaches the same end from any crash, in any step, whatever else dies', async () => {
    await fc.assert(
      fc.asyncProperty(events, async (schedule) => {
        const world = newWorld('students: 10, redis: {shards: 2}, graceSeconds: 2');
        for (const event of schedule) await play(world, event);
        setPhase(world, 'Finalizing');
        await runToEnd(world);
        expectEnd(world);
      }),
      { numRuns: 400 },
    );
  }, 20_000);

  test('a crash before each single step of the shortest life changes nothing', async () => {
    for (let steps = 0; steps < 60; steps++) {
      const world = newWorld('students: 10, redis: {shards: 2}, graceSeconds: 1');
      setPhase(world, 'Finalizing');
      world.crashIn = steps;
      await passes(world, 100);
      await runToEnd(world);
      expectEnd(world);
    }
  });

  test('goes through its phases in order, and waits for each', async () => {
    const world = newWorld('students: 10, redis: {shards: 2}, graceSeconds: 2');
    await passes(world, 6);
    expect(world.status).toMatchObject({ phase: 'Active', sealing: null });
    expect(world.redis.map((redis) => redis.session?.phase)).toEqual(['Active', 'Active']);
    setPhase(world, 'Finalizing');
    await runToEnd(world);
    const phases = world.statuses.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]);
    expect(phases).toEqual(['Provisioning', 'Active', 'Draining', 'Exporting', 'Completed']);
  });

  test('can be taken back while draining, and begins a new grace when asked again', async () => {
    const world = newWorld('students: 10, graceSeconds: 5');
    await passes(world, 6);
    setPhase(world, 'Finalizing');
    await passes(world, 3);
    const first = world.status!.drainUntil!;
    expect(world.status!.phase).toBe('Draining');
    setPhase(world, 'Active');
    await passes(world, 20);
    expect(world.status).toMatchObject({ phase: 'Active', drainUntil: null, sealing: null });
    expect(world.redis[0]!.session).toMatchObject({ phase: 'Active', drainUntil: null });
    setPhase(world, 'Finalizing');
    await passes(world, 2);
    expect(world.status!.drainUntil).toBeGreaterThan(first + 10_000);
  });

  test('cannot be taken back once sealing has begun', async () => {
    const world = newWorld('students: 10, redis: {shards: 2}, graceSeconds: 0');
    await passes(world, 6);
    setPhase(world, 'Finalizing');
    while (world.status!.sealing === null) await passes(world, 1);
    setPhase(world, 'Active');
    await runToEnd(world);
    expectEnd(world);
  });

  test('a seal wins over a status that was lost', async () => {
    const world = newWorld('students: 10, redis: {shards: 2}, graceSeconds: 0');
    await passes(world, 6);
    setPhase(world, 'Finalizing');
    while (!world.redis.some((redis) => redis.sealed)) await passes(world, 1);
    setPhase(world, 'Active');
    world.status = null;
    await passes(world, 2);
    expect(world.status!.sealing).not.toBeNull();
    await runToEnd(world);
    expectEnd(world);
  });

  test('never starts a gateway before every shard is born, and stays in Provisioning until then', async () => {
    const world = newWorld('students: 10, redis: {shards: 2}');
    world.down.add(1);
    await passes(world, 10);
    expect(world.shards.map((shard) => shard.born)).toEqual([true, false]);
    expect(world.gateways).toEqual([]);
    expect(world.status!.phase).toBe('Provisioning');
    world.down.clear();
    await passes(world, 4);
    expect(world.status!.phase).toBe('Active');
  });

  test('waits for opensAt less the lead, and makes nothing before', async () => {
    const world = newWorld('students: 10, opensAt: "2027-01-15T09:00:00Z", provisionLeadMinutes: 30');
    await passes(world, 3);
    expect(world.status!.phase).toBe('Pending');
    expect(world.shards).toEqual([]);
    expect(world.status!.conditions.find(({ type }) => type === 'Ready')!.message).toContain(
      '2027-01-15T08:30:00.000Z',
    );
    world.clock = Date.parse('2027-01-15T08:30:00Z');
    await passes(world, 6);
    expect(world.status!.phase).toBe('Active');
  });
});
