import { describe, expect, test } from 'vitest';
import { type Desired, planSession } from '#operator/plan.ts';
import type { AttemptObserved, GatewayMode, Observed, Platform } from '#operator/platform.ts';
import { createQueueControl, type QueueControl, type QueueFacts } from '#operator/queuecontrol.ts';
import { defaultSettings } from '#operator/settings.ts';
import { statusOf } from '#operator/status.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';

/** A platform under test, and what a test must be able to do behind its back. */
export interface PlatformHarness {
  readonly platform: Platform;
  /** The operator dies, and another one opens the platform on what survives. Replaces `platform`. */
  reopen(): Promise<void>;
  /** Kills the process of a shard, or of some gateway, at once. */
  killShard(shard: number): Promise<void>;
  killGateway(): Promise<void>;
  /** Changes one field of the session, as a user does. */
  edit(path: readonly string[], value: unknown): Promise<void>;
}

/**
 * What every platform must do, whatever it runs on. `open` gives a new session with two shards and two gateways
 * (spec.redis.shards, spec.gateway.replicas), of which nothing exists yet; it cleans up after the test.
 */
export function platformConformance(name: string, harness: () => Promise<PlatformHarness>): void {
  const open = () => subjectOf(harness);
  describe(`the platform ${name}`, () => {
    test('has nothing of a new session but its identity', async () => {
      const { platform } = await open();
      const observed = await platform.observe();
      expect(observed.identity.uid).toMatch(/^[0-9a-f-]{36}$/);
      expect(observed.identity.shards).toEqual([]);
      expect(observed).toMatchObject({
        status: null,
        shards: [],
        gateways: [],
        attempt: null,
        url: null,
        generation: 1,
      });
      expect(await platform.sample()).toBeNull();
    });

    test('makes shards, keeps who they are over a crash, and makes them once', async () => {
      const harness = await open();
      await makeShards(harness);
      const { identity } = await harness.platform.observe();
      expect(identity.shards.map(({ shard, born }) => [shard, born])).toEqual([
        [0, true],
        [1, true],
      ]);
      expect(new Set(identity.shards.map(({ incarnation }) => incarnation)).size).toBe(2);
      await harness.platform.apply(await desiredOf(harness, { replicas: 0 }));
      await harness.reopen();
      expect((await harness.platform.observe()).identity).toEqual(identity);
      await harness.platform.apply(await desiredOf(harness, { replicas: 0 }));
      await shardsReady(harness);
      expect((await harness.platform.observe()).identity).toEqual(identity);
    });

    test('starts a shard again that died, on its own data', async () => {
      const harness = await open();
      await makeShards(harness);
      await harness.killShard(1);
      await until(async () => (await harness.facts()).shards[1]!.phase !== 'ready', { what: 'the shard to be gone' });
      await shardsReady(harness);
    });

    test('makes a shard anew that is given up, and holds the gateways meanwhile', async () => {
      const harness = await open();
      await makeShards(harness);
      await gatewaysReady(harness, { replicas: 1 }, 1, 'serve');
      const before = await harness.platform.observe();
      const desired = await desiredOf(harness, { replicas: 1, hold: true });
      await harness.platform.apply({ ...desired, shards: { ...desired.shards, refill: [1] } });
      const after = await harness.platform.observe();
      const [kept, anew] = after.identity.shards;
      expect(kept).toEqual(before.identity.shards[0]);
      expect(anew).toMatchObject({ shard: 1, born: false });
      expect(anew!.incarnation).not.toBe(before.identity.shards[1]!.incarnation);
      expect(after.gateways).toEqual(before.gateways);
      await makeShards(harness);
    });

    // Three sets of gateways are started one after the other.
    test('runs as many gateways as desired, in the mode desired', { timeout: 30_000 }, async () => {
      const harness = await open();
      await makeShards(harness);
      await gatewaysReady(harness, { replicas: 2 }, 2, 'serve');
      expect((await harness.platform.observe()).url).toMatch(/^https?:\/\/.*\/exam$/);
      await until(() => harness.platform.sample(), { what: 'a sample' });
      await harness.killGateway();
      await gatewaysReady(harness, { replicas: 2 }, 2, 'serve');
      await gatewaysReady(harness, { replicas: 1, mode: 'answer' }, 1, 'answer');
      await gatewaysReady(harness, { replicas: 0 }, 0, 'answer');
      expect((await harness.platform.observe()).url).toBeNull();
    });

    test('never leaves students without a gateway while it changes the mode', async () => {
      const harness = await open();
      await makeShards(harness);
      await gatewaysReady(harness, { replicas: 2 }, 2, 'serve');
      const counts: number[] = [];
      await until(
        async () => {
          await harness.platform.apply(await desiredOf(harness, { replicas: 1, mode: 'answer' }));
          const { gateways } = await harness.platform.observe();
          const ready = gateways.filter((gateway) => gateway.ready);
          counts.push(ready.length);
          return ready.length === 1 && gateways.length === 1 && ready[0]!.mode === 'answer';
        },
        { what: 'the one that answers', timeoutMs: 15_000 },
      );
      expect(Math.min(...counts)).toBeGreaterThan(0);
    });

    test('keeps the last status over a crash', async () => {
      const harness = await open();
      const observed = await harness.platform.observe();
      const queue = { shards: [], now: null };
      const now = Date.now();
      const desired = planSession(observed, queue, now, defaultSettings);
      const status = statusOf({ observed, queue, desired, now, settings: defaultSettings }, null, { seal: null });
      await harness.platform.writeStatus({ ...status, sealing: '2026-05-04T10:00:00.000Z' });
      expect((await harness.platform.observe()).status?.sealing).toBe('2026-05-04T10:00:00.000Z');
      await harness.reopen();
      expect((await harness.platform.observe()).status).toEqual({ ...status, sealing: '2026-05-04T10:00:00.000Z' });
    });

    test('tells of an edit, and keeps the session as it was when the edit is not admissible', async () => {
      const harness = await open();
      let told = 0;
      const unwatch = harness.platform.watch(() => {
        told += 1;
      });
      await harness.edit(['spec', 'phase'], 'Finalizing');
      const seen = async (test: (observed: Observed) => boolean) =>
        until(async () => test(await harness.platform.observe()), { what: 'the edit' });
      await seen(({ session, generation }) => session.spec.phase === 'Finalizing' && generation === 2);
      expect(told).toBeGreaterThan(0);
      await harness.edit(['spec', 'students'], -1);
      await seen(({ editFault }) => editFault?.message.includes('spec.students') === true);
      const { session, generation } = await harness.platform.observe();
      expect([session.spec.students, generation]).toEqual([40, 2]);
      await harness.edit(['spec', 'students'], 41);
      await seen((observed) => observed.session.spec.students === 41 && observed.editFault === null);
      unwatch();
    });

    test('runs an attempt to export once, as it was when it began', async () => {
      const harness = await open();
      const attempt = await sealed(harness);
      await harness.platform.apply(attempt);
      await harness.platform.apply({ ...attempt, attempt: { ...attempt.attempt!, table: 'OTHER' } });
      const done = await until(async () => ended(await harness.platform.observe()), {
        what: 'the end of the attempt',
        timeoutMs: 20_000,
      });
      expect(done).toMatchObject({ state: 'succeeded', fault: null, plan: attempt.attempt });
      expect(done.result).toMatchObject({ rows: 0, root: attempt.attempt!.root });
      await harness.reopen();
      expect((await harness.platform.observe()).attempt).toMatchObject({ state: 'succeeded', result: done.result });
      await harness.platform.apply(attempt);
      expect((await harness.platform.observe()).attempt?.state).toBe('succeeded');
    });

    test('calls an attempt failed that was under way when the operator died', async () => {
      const harness = await open();
      const first = await sealed(harness);
      await harness.platform.apply(first);
      await harness.reopen();
      const observed = await harness.platform.observe();
      expect(observed.attempt).toMatchObject({ state: 'failed', plan: { attempt: 1 } });
      expect(observed.attempt?.endedAt).not.toBeNull();
    });

    test('stops everything in a bounded time, and keeps what was stored', async () => {
      const harness = await open();
      await makeShards(harness);
      await gatewaysReady(harness, { replicas: 2 }, 2, 'serve');
      const { identity } = await harness.platform.observe();
      const begun = performance.now();
      await harness.platform.remove();
      expect(performance.now() - begun).toBeLessThan(15_000);
      const { gateways, url } = await harness.platform.observe();
      expect([gateways, url]).toEqual([[], null]);
      await harness.reopen();
      await harness.platform.apply(await desiredOf(harness, { replicas: 0 }));
      await shardsReady(harness);
      expect((await harness.platform.observe()).identity).toEqual(identity);
    });
  });
}

/** The platform with an operator's hand on its shards, who is another one after each `reopen`. */
interface Subject extends PlatformHarness {
  queue: QueueControl;
  facts(): Promise<QueueFacts>;
}

async function subjectOf(open: () => Promise<PlatformHarness>): Promise<Subject> {
  const harness = await open();
  const subject: Subject = {
    get platform() {
      return harness.platform;
    },
    queue: createQueueControl(() => {}),
    killShard: (shard) => harness.killShard(shard),
    killGateway: () => harness.killGateway(),
    edit: (path, value) => harness.edit(path, value),
    facts: async () => subject.queue.observe(await harness.platform.observe()),
    async reopen() {
      await subject.queue.close();
      subject.queue = createQueueControl(() => {});
      await harness.reopen();
    },
  };
  onScopeEnd(() => subject.queue.close());
  return subject;
}

/** What the planner wants of an open session, with other gateways. */
async function desiredOf({ platform }: Subject, gateways: Partial<Desired['gateways']>): Promise<Desired> {
  const observed = await platform.observe();
  const desired = planSession(observed, { shards: [], now: null }, Date.now(), defaultSettings);
  return { ...desired, gateways: { ...desired.gateways, mode: 'serve', ...gateways } };
}

/** Shards that run, are initialised, and are recorded as born. */
async function makeShards(subject: Subject): Promise<void> {
  const { platform } = subject;
  const desired = await desiredOf(subject, { replicas: 0 });
  await platform.apply(desired);
  await until(
    async () => {
      const observed = await platform.observe();
      const { born } = await subject.queue.apply(desired.queue, observed, await subject.queue.observe(observed));
      await platform.recordBorn(born);
      return (await platform.observe()).identity.shards.every((shard) => shard.born);
    },
    { what: 'the shards to be born', timeoutMs: 15_000 },
  );
  await shardsReady(subject);
}

function shardsReady(subject: Subject): Promise<unknown> {
  const ready = async () => {
    const { shards } = await subject.facts();
    return shards.length > 0 && shards.every((shard) => shard.phase === 'ready');
  };
  return until(ready, { what: 'the shards to be ready', timeoutMs: 15_000 });
}

/** Applies until exactly the wanted gateways are there, all ready. */
async function gatewaysReady(
  subject: Subject,
  wanted: Partial<Desired['gateways']>,
  count: number,
  mode: GatewayMode,
): Promise<void> {
  await until(
    async () => {
      await subject.platform.apply(await desiredOf(subject, wanted));
      const { gateways } = await subject.platform.observe();
      return gateways.length === count && gateways.every((gateway) => gateway.ready && gateway.mode === mode);
    },
    { what: `${count} gateways in mode ${mode}`, timeoutMs: 15_000 },
  );
}

/** An empty session that is sealed, and the first attempt to export it. */
async function sealed(subject: Subject): Promise<Desired> {
  await makeShards(subject);
  const { platform, queue } = subject;
  const desired = await desiredOf(subject, { replicas: 0 });
  const observed = await platform.observe();
  const { seal } = await queue.apply({ ...desired.queue!, seal: true }, observed, await queue.observe(observed));
  const { uid } = observed.identity;
  const session = { name: 'algebra', uid, exam: 'algebra', rehearsal: false };
  const plan = { attempt: 1, generation: 1, session, table: 'EXAM_ANSWERS', batchRows: 5_000, ...seal! };
  return { ...desired, attempt: plan };
}

function ended({ attempt }: Observed): AttemptObserved | null {
  return attempt === null || attempt.state === 'running' ? null : attempt;
}
