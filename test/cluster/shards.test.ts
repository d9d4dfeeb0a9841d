import { beforeAll, describe, expect, test } from 'vitest';
import { annotationNames, finalizers, labelNames, objectNames } from '#operator/kubernetes/names.ts';
import { configNameOf, incarnationOf } from '#operator/kubernetes/resources/redisstatefulset.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import type { DesiredShards } from '#operator/plan.ts';
import { settings } from '#test/operator/kubernetes/gatewayparts.ts';
import { desiredShards, GiB, MiB } from '#test/operator/kubernetes/shardparts.ts';
import { startApiServer } from '#test/support/apiserver.ts';
import { apiOf, dyingApi } from './gatewayworld.ts';
import { classes, kinds, makeClasses, type Open, type Opened, type ShardWorld, shardWorld } from './shardworld.ts';

let api: Api;

beforeAll(async () => {
  api = apiOf(await startApiServer());
  await makeClasses(api);
});

const running = desiredShards();
const stopped = desiredShards({ running: false });
const larger = desiredShards({ maxmemoryBytes: 1024 * MiB, memoryBytes: 1280 * MiB, storageBytes: 2 * GiB });

/** Passes until nothing changes any more, with pods that come at once; as a session is after its birth. */
async function settle(world: ShardWorld, desired: DesiredShards, open: Open = {}): Promise<Opened> {
  const shards = await world.open(open);
  for (let pass = 0; pass < 5; pass++) {
    await shards.apply(desired);
    await world.play();
    await shards.refresh();
  }
  return shards;
}

async function bornWorld(): Promise<ShardWorld> {
  const world = await shardWorld(api);
  await settle(world, running);
  await world.bear();
  return world;
}

const uids = async (world: ShardWorld) => (await world.pods()).map(({ metadata }) => metadata.uid);
const claimSizes = async (world: ShardWorld) =>
  (await world.list('PersistentVolumeClaim')).map(
    ({ spec }) => (spec as { resources: { requests: { storage: string } } }).resources.requests.storage,
  );

describe('a session begins', () => {
  test('with nothing as long as none is wanted', async () => {
    const world = await shardWorld(api);
    const shards = await world.open();
    for (const desired of [desiredShards({ count: 0 }), stopped]) await shards.apply(desired);
    expect(await shards.observe()).toEqual([]);
    expect(await world.statefulSet()).toBeNull();
    expect(await world.list('Service')).toEqual([]);
    await shards.remove();
  });

  test('with all that its shards need, and pods that the restricted profile takes', async () => {
    const world = await shardWorld(api);
    const shards = await world.open();
    await shards.apply(running);
    expect(shards.identity.value.shards.map(({ shard, born }) => ({ shard, born }))).toEqual([
      { shard: 0, born: false },
      { shard: 1, born: false },
    ]);
    expect(await shards.observe()).toMatchObject([
      { shard: 0, running: false, endpoint: null, maxmemoryBytes: 512 * MiB, storage: null, fault: null },
      { shard: 1, running: false, endpoint: null, fault: null },
    ]);
    await world.play();
    await shards.refresh();
    const password = shards.keys.operatorPassword;
    const endpoint = (host: string) => ({ host, port: 6379, username: 'operator', password });
    const storage = { usedBytes: null, capacityBytes: GiB };
    const common = { running: true, maxmemoryBytes: 512 * MiB, storage, fault: null };
    expect(await shards.observe()).toEqual([
      { shard: 0, endpoint: endpoint('10.0.0.1'), ...common },
      { shard: 1, endpoint: endpoint('10.0.0.2'), ...common },
    ]);
    const claims = await world.list('PersistentVolumeClaim');
    expect(claims.map(({ metadata }) => [metadata.name, metadata.finalizers])).toEqual(
      [0, 1].map((shard) => [objectNames(world.ref).redisClaim(shard), expect.arrayContaining([finalizers.answers])]),
    );
    expect(claims.every(({ metadata }) => metadata.ownerReferences === undefined)).toBe(true);
    const maps = (await world.list('ConfigMap')).map(({ metadata }) => metadata.name);
    expect(maps).toContain(configNameOf((await world.statefulSet())!));
  });

  test('and is left as it is by passes that change nothing, also by one of a new process', async () => {
    const world = await bornWorld();
    const counted = dyingApi(api, Number.POSITIVE_INFINITY);
    const shards = await settle(world, running, { api: counted.api });
    const [before, writes] = [await world.statefulSet(), counted.writes()];
    for (let pass = 0; pass < 3; pass++) await shards.apply(running);
    expect(counted.writes()).toBe(writes);
    await settle(world, running);
    expect((await world.statefulSet())?.metadata.generation).toBe(before?.metadata.generation);
  });

  test('with other images or pull secrets, as long as nothing is stored', async () => {
    const world = await shardWorld(api);
    await settle(world, running, { images: { untradex: 'untradex:typo', redis: 'redis:typo' } });
    await world.tell(0, { containerStatuses: [waitingFor('ImagePullBackOff')] });
    const before = await uids(world);
    const shards = await settle(world, running, { images: settings.images });
    expect(shards.identity.value.images.redis).toBe('redis:7');
    expect((await world.statefulSet())?.spec.template.spec?.containers[0]?.image).toBe('redis:7');
    expect((await uids(world)).some((uid) => before.includes(uid))).toBe(false);
    await world.bear();
    const later = await settle(world, running, { images: { untradex: 'untradex:2', redis: 'redis:8' } });
    expect(later.identity.value.images).toEqual({ untradex: 'untradex:new', redis: 'redis:7' });
  });
});

function waitingFor(reason: string) {
  const container = { name: 'redis', image: 'redis', imageID: '', ready: false, restartCount: 0 };
  return { ...container, state: { waiting: { reason, message: `${reason} because of the test` } } };
}

describe('a shard that was given up', () => {
  test('is made anew under another incarnation, and the others are left alone', async () => {
    const world = await bornWorld();
    const [first, second] = await uids(world);
    const shards = await world.open();
    const [kept, given] = shards.identity.value.shards.map(({ incarnation }) => incarnation);
    await shards.apply(desiredShards({ refill: [1] }));
    const [unchanged, anew] = shards.identity.value.shards;
    expect(unchanged).toMatchObject({ incarnation: kept, born: true });
    expect(anew).toMatchObject({ born: false });
    expect(anew!.incarnation).not.toBe(given);
    // The cache still has the pod that goes: nobody is sent there.
    expect((await shards.observe()).map(({ endpoint }) => endpoint?.host ?? null)).toEqual(['10.0.0.1', null]);
    await world.play();
    await shards.refresh();
    await shards.apply(running);
    const pods = await world.pods();
    expect(pods.map((pod, shard) => incarnationOf(pod, shard))).toEqual([kept, anew!.incarnation]);
    expect(pods[0]!.metadata.uid).toBe(first);
    expect(pods[1]!.metadata.uid).not.toBe(second);
    const name = configNameOf((await world.statefulSet())!)!;
    const map = await api.get({ ...kinds.ConfigMap, namespace: world.ref.namespace, name });
    expect((map!.data as Record<string, string>)['redis-1.conf']).toContain(`aof-${anew!.incarnation}`);
    expect((map!.data as Record<string, string>)['redis-0.conf']).toContain(`aof-${kept}`);
  });
});

describe('more memory', () => {
  test('comes to one pod at a time, while all others are ready and have loaded their files', async () => {
    const world = await bornWorld();
    const [first, second] = await uids(world);
    let slow: string | null = '10.0.0.2';
    const shards = await world.open({ students: 8000, isServing: async ({ host }) => host !== slow });
    await shards.apply(larger);
    expect(await uids(world)).toEqual([first, second]);
    slow = null;
    await shards.apply(larger);
    expect(shards.identity.value.shards.map(({ maxmemoryBytes }) => maxmemoryBytes)).toEqual([1024 * MiB, 1024 * MiB]);
    expect(await uids(world)).toEqual([second]);
    await shards.refresh();
    await shards.apply(larger);
    expect(await uids(world)).toEqual([second]);
    await world.play();
    await world.tell(0, { conditions: [{ type: 'Ready', status: 'False' }] });
    await shards.refresh();
    await shards.apply(larger);
    expect((await uids(world))[1]).toBe(second);
    await world.tell(0, { conditions: [{ type: 'Ready', status: 'True' }] });
    await shards.refresh();
    await shards.apply(larger);
    await world.play();
    expect((await uids(world)).filter((uid) => uid === first || uid === second)).toEqual([]);
    const settled = await uids(world);
    await settle(world, larger, { students: 8000 });
    expect(await uids(world)).toEqual(settled);
  });

  test('is never taken back', async () => {
    const world = await bornWorld();
    await settle(world, larger, { students: 8000 });
    const before = await uids(world);
    const shards = await settle(world, { ...running, maxmemoryBytes: 1024 * MiB });
    expect(shards.identity.value.shards[0]!.maxmemoryBytes).toBe(1024 * MiB);
    const memory = (await world.statefulSet())?.spec.template.spec?.containers[0]?.resources?.limits?.memory;
    expect(Number.parseInt(memory!, 10)).toBeGreaterThanOrEqual(1254);
    expect(await claimSizes(world)).toEqual(['2Gi', '2Gi']);
    // Lowering students is an edit too, but the same memory as before is no reason to restart anything twice.
    const after = await uids(world);
    await settle(world, { ...running, maxmemoryBytes: 1024 * MiB });
    expect(await uids(world)).toEqual(after);
    expect(before.length).toBe(2);
  });

  test('comes at once to a pod that does not work for want of it, or for another wish', async () => {
    const world = await shardWorld(api);
    await settle(world, running, { redis: { pod: { nodeSelector: { disk: 'fast' } } } });
    await world.bear();
    for (const shard of [0, 1]) await world.tell(shard, { phase: 'Pending', containerStatuses: [] });
    const before = await uids(world);
    const shards = await world.open({ redis: { pod: { nodeSelector: { disk: 'any' } } } });
    await shards.apply(running);
    expect(await uids(world)).toEqual([]);
    await world.play();
    expect((await uids(world)).some((uid) => before.includes(uid))).toBe(false);
  });
});

describe('more storage', () => {
  test('is asked for where the class allows it', async () => {
    const world = await bornWorld();
    const shards = await settle(world, larger, { students: 8000 });
    expect(await claimSizes(world)).toEqual(['2Gi', '2Gi']);
    expect((await shards.observe()).map(({ fault }) => fault)).toEqual([null, null]);
    await settle(world, running, { redis: { storage: '1Gi' } });
    expect(await claimSizes(world)).toEqual(['2Gi', '2Gi']);
  });

  test('is a fault where the class does not, told without asking again and again', async () => {
    const world = await shardWorld(api);
    const redis = { storageClass: classes.fixed };
    await settle(world, running, { redis });
    await world.bear();
    const counted = dyingApi(api, Number.POSITIVE_INFINITY);
    const shards = await settle(world, larger, { redis, students: 8000, api: counted.api });
    expect(await claimSizes(world)).toEqual(['1Gi', '1Gi']);
    expect((await shards.observe()).map(({ fault }) => fault)).toMatchObject([
      { code: 'claim_not_expandable', message: expect.stringContaining('fixed') },
      { code: 'claim_not_expandable' },
    ]);
    await shards.apply({ ...larger, storageBytes: GiB });
    expect((await shards.observe()).map(({ fault }) => fault)).toEqual([null, null]);
  });
});

describe('an upgraded operator', () => {
  const version = '2.0.0';

  test('restarts nothing of a session that runs, though it would size it otherwise', async () => {
    const world = await bornWorld();
    const [pods, before] = [await uids(world), await world.statefulSet()];
    const shards = await settle(world, larger, { version });
    expect(await uids(world)).toEqual(pods);
    expect((await world.statefulSet())?.metadata.generation).toBe(before?.metadata.generation);
    expect(shards.identity.value.shards[0]!.maxmemoryBytes).toBe(512 * MiB);
    expect(await claimSizes(world)).toEqual(['1Gi', '1Gi']);
  });

  test('makes a shard anew without touching the others', async () => {
    const world = await bornWorld();
    const [first] = await uids(world);
    await (await world.open({ version })).apply({ ...larger, refill: [1] });
    await settle(world, larger, { version });
    const [same, other] = await world.pods();
    expect(same!.metadata.uid).toBe(first);
    const shape = ({ metadata }: KubeObject) => metadata.annotations?.[annotationNames.inputs];
    expect(shape(other!)).toBe(shape(same!));
    expect((await world.statefulSet())?.metadata.annotations?.[annotationNames.madeBy]).toBe('1.0.0');
  });

  test('does what a later edit asks for', async () => {
    const world = await bornWorld();
    const pods = await uids(world);
    const shards = await settle(world, larger, { version, students: 8000 });
    expect((await uids(world)).some((uid) => pods.includes(uid))).toBe(false);
    expect(shards.identity.value.shards[0]!.maxmemoryBytes).toBe(1024 * MiB);
  });
});

describe('a session that is over', () => {
  test('keeps its claims, and a StatefulSet of none, until it runs again', async () => {
    const world = await bornWorld();
    const shards = await settle(world, stopped);
    expect((await shards.observe()).map(({ running, endpoint }) => [running, endpoint])).toEqual([
      [false, null],
      [false, null],
    ]);
    expect((await world.statefulSet())?.spec.replicas).toBe(0);
    expect(await claimSizes(world)).toEqual(['1Gi', '1Gi']);
    await settle(world, running);
    expect((await world.pods()).length).toBe(2);
    await (await world.open()).remove();
    expect((await world.statefulSet())?.spec.replicas).toBe(0);
  });

  test('stops no StatefulSet that belongs to another one', async () => {
    const world = await bornWorld();
    const { metadata } = (await world.statefulSet())!;
    const at = { ...kinds.StatefulSet, namespace: world.ref.namespace, name: metadata.name };
    await api.patch(at, { metadata: { labels: { [labelNames.uid]: 'other' } } }, { type: 'merge' });
    await expect((await world.open()).remove()).rejects.toMatchObject({ code: 'object_foreign' });
    expect((await world.statefulSet())?.spec.replicas).toBe(2);
  });
});

test('tells of a pod that nobody makes, once it is missing for a minute', async () => {
  const world = await bornWorld();
  let now = Date.now();
  const shards = await world.open({ now: () => now });
  await shards.apply(running);
  await api.remove({ ...kinds.Pod, namespace: world.ref.namespace, name: objectNames(world.ref).redisPod(1) });
  await shards.refresh();
  expect((await shards.observe())[1]!.fault).toBeNull();
  now += 61_000;
  const [first, second] = await shards.observe();
  expect(first!.fault).toBeNull();
  expect(second!.fault).toMatchObject({ code: 'pod_missing', remedy: expect.stringContaining('kubectl describe') });
});

describe('an operator that is killed right after any of its writes', () => {
  const scenarios: Record<
    string,
    { begin: (world: ShardWorld) => Promise<unknown>; desired: DesiredShards[]; open?: Open }
  > = {
    'at the birth': { begin: async () => {}, desired: [running] },
    'while a shard is made anew': { begin: bearAll, desired: [desiredShards({ refill: [1] })] },
    'while shards get more': { begin: bearAll, desired: [larger], open: { students: 8000 } },
    'at the end': { begin: bearAll, desired: [stopped] },
  };

  async function bearAll(world: ShardWorld): Promise<void> {
    await settle(world, running);
    await world.bear();
  }

  for (const [when, { begin, desired, open = {} }] of Object.entries(scenarios)) {
    test(`${when} leaves what the next one makes whole`, async () => {
      let expected: unknown = null;
      for (let last = Number.POSITIVE_INFINITY, most = 0; ; last = most) {
        const world = await shardWorld(api);
        await begin(world);
        const old = await incarnations(world);
        const dying = dyingApi(api, last);
        const life = async (through: Api) => {
          const shards = await world.open({ ...open, api: through });
          for (let pass = 0; pass < 5; pass++) {
            for (const one of desired) await shards.apply(await asPlanned(shards, one, old));
            await world.play();
            await shards.refresh();
          }
        };
        await life(dying.api).catch((error: unknown) => expect(error).toMatchObject({ message: 'killed' }));
        await life(api);
        if (expected === null) {
          expected = await world.all();
          most = dying.writes();
          expect(most).toBeGreaterThan(0);
        } else {
          expect(await world.all()).toEqual(expected);
          if (--most === 0) return;
        }
      }
    });
  }

  async function incarnations(world: ShardWorld): Promise<string[]> {
    const { identity } = await world.open();
    return identity.value.shards.map(({ incarnation }) => incarnation);
  }

  /** The plan asks for it only while the incarnation is the one that was given up. */
  async function asPlanned({ identity }: Opened, desired: DesiredShards, old: string[]): Promise<DesiredShards> {
    const refill = desired.refill.filter((shard) => identity.value.shards[shard]?.incarnation === old[shard]);
    return { ...desired, refill };
  }
});
