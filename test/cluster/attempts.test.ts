import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import pino from 'pino';
import { beforeAll, expect, test } from 'vitest';
import { nextAttempt } from '#operator/attempt.ts';
import type { ExamSession } from '#operator/examsession.ts';
import { type ClusterAttempts, createClusterAttempts } from '#operator/kubernetes/attempts.ts';
import { finalizers, labelNames, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { type Api, createApi, type KubeObject } from '#operator/kubernetes/runtime/api.ts';
import type { AttemptObserved } from '#operator/platform.ts';
import { defaultSettings } from '#operator/settings.ts';
import { attemptPlan, eventsPerShard, exporterInput } from '#test/operator/kubernetes/exporterparts.ts';
import { ownerOf, settings } from '#test/operator/kubernetes/gatewayparts.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { createJobPlayer, type Fate, type JobPlayer, type PlayedPod } from './jobplayer.ts';

// A real API server; the job controller and the kubelet are played by jobplayer.ts. The namespace enforces the
// restricted profile.

const namespace = 'exams';
const shards = 2;
const root = 'a'.repeat(64);
const result = {
  rows: shards * eventsPerShard,
  root,
  digest: 'b'.repeat(64),
  report: '/export/report.json',
  rowsPerSecond: 7,
};
const done = { exit: 0, message: JSON.stringify({ kind: 'result', ok: true, ...result }) };
const problemWords = (code: string) =>
  JSON.stringify({ kind: 'problem', code, message: 'what is wrong', remedy: 'mend it' });

let cluster: TestApiServer;
let api: Api;

beforeAll(async () => {
  cluster = await startApiServer();
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await cluster.call('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace, labels } } });
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  api = createApi(config, { userAgent: 'untradex-test', strict: true });
  onScopeEnd(() => api.close());
});

/** One session that is to be exported, and its cluster. */
interface World {
  readonly ref: SessionRef;
  readonly player: JobPlayer;
  generation: number;
  /** Fields of `spec.export`. */
  wish: object;
  operator(api?: Api, more?: { opsPort?: number; now?: () => number }): ClusterAttempts;
  /** Lines of the operator's log. */
  readonly log: string[];
}

function worldOf(fateOf: (pod: PlayedPod) => Fate = () => done): World {
  const ref = { namespace, name: 'algebra', uid: randomUUID() };
  const log: string[] = [];
  const world: World = {
    ...{ ref, log, player: createJobPlayer(cluster, ref, fateOf), generation: 1, wish: {} },
    operator(ownApi = api, more = {}) {
      const input = () => exporterInput({ ref, shards, export: world.wish });
      const { receiptPublicKey } = input();
      return createClusterAttempts({
        ...{ api: ownApi, ref, owner: ownerOf(ref), settings, roster: () => new Map([['student-1', 0]]) },
        session: () => ({ spec: input().spec }) as ExamSession,
        identity: { value: { shards: input().shards, receiptPublicKey } },
        log: pino({}, { write: (line: string) => void log.push(line) }),
        ...more,
      });
    },
  };
  return world;
}

const impatient = { ...defaultSettings, exportBackoffSeconds: 0, exportBackoffMostSeconds: 0 };

/** As a pass of the reconciler does it; gives what was observed. */
async function pass(operator: ClusterAttempts, { ref, generation }: World): Promise<AttemptObserved | null> {
  const observed = await operator.observe();
  const next = nextAttempt(observed, generation, Date.now(), impatient);
  await operator.apply('attempt' in next ? attemptPlan({ ref, shards, generation, attempt: next.attempt }) : null);
  return observed;
}

/** Passes, with what the cluster does in between, until one observes what is waited for. */
async function passUntil(
  operator: ClusterAttempts,
  world: World,
  test: (seen: AttemptObserved) => boolean,
): Promise<AttemptObserved> {
  for (let passes = 0; passes < 60; passes++) {
    const seen = await pass(operator, world);
    if (seen !== null && test(seen)) return seen;
    await world.player.play();
  }
  throw new Error('it does not come');
}

const isOver = ({ state }: AttemptObserved) => state !== 'running';
const isOf = (attempt: number) => (seen: AttemptObserved) => seen.plan.attempt === attempt && isOver(seen);

const kinds = [
  { apiVersion: 'v1', kind: 'ConfigMap' },
  { apiVersion: 'v1', kind: 'ServiceAccount' },
  { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  { apiVersion: 'batch/v1', kind: 'Job' },
] as const;

async function objectsOf({ uid }: SessionRef): Promise<KubeObject[]> {
  const lists = await Promise.all(
    kinds.map((kind) => api.list({ ...kind, namespace, labelSelector: `${labelNames.uid}=${uid}` })),
  );
  return lists.flatMap(({ items }) => items);
}

/** `Job load-1`: what there is, without what is the same for all. */
async function namesOf(ref: SessionRef): Promise<string[]> {
  const { base } = objectNames(ref);
  return (await objectsOf(ref)).map(({ kind, metadata }) => `${kind} ${metadata.name.replace(`${base}-`, '')}`).sort();
}

const exported = (...attempts: number[]) =>
  [
    ...['PersistentVolumeClaim export', 'ServiceAccount exporter'],
    ...attempts.flatMap((attempt) => [`ConfigMap attempt-${attempt}`, `Job load-${attempt}`]),
    `Job publish-${attempts.at(-1)}`,
  ].sort();

test('every shard is loaded, then published, and the proof is kept', async () => {
  const world = worldOf();
  const operator = world.operator();
  expect(await pass(operator, world)).toBeNull();
  expect(await pass(operator, world)).toMatchObject({
    ...{ state: 'running', step: 'load', rows: 0, total: shards * eventsPerShard, fault: null },
  });
  await world.player.play();
  expect(await pass(operator, world)).toMatchObject({ state: 'running', step: 'load', rows: shards * eventsPerShard });
  expect(await pass(operator, world)).toMatchObject({ state: 'running', step: 'publish' });
  const over = await passUntil(operator, world, isOver);
  expect(over).toMatchObject({ state: 'succeeded', step: 'verify', result, fault: null });
  expect(over.endedAt).toBeGreaterThan(0);
  // Another operator finds the same, and does nothing more.
  expect(await pass(world.operator(), world)).toEqual(over);
  expect(await namesOf(world.ref)).toEqual(exported(1));
  for (const { kind, metadata } of await objectsOf(world.ref)) {
    const owned = metadata.ownerReferences?.some(({ uid, controller }) => uid === world.ref.uid && controller) ?? false;
    expect([kind, owned]).toEqual([kind, kind !== 'PersistentVolumeClaim']);
    if (kind === 'PersistentVolumeClaim') expect(metadata.finalizers).toContain(finalizers.answers);
  }
});

test('pods tell how far they are; one that hangs holds nobody up', async () => {
  const progress = { step: 'load', shard: 1, rows: 30, total: eventsPerShard, rowsPerSecond: 1_000 };
  const server = createServer((request, response) => {
    if (request.headers.host?.startsWith('127.0.0.1')) response.end(JSON.stringify(progress));
  }).listen(0);
  onScopeEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const at = (ip: string) => ({ status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] } });
  const world = worldOf(({ index }) => at(index === 0 ? '127.0.0.2' : '127.0.0.1'));
  const operator = world.operator(api, { opsPort: (server.address() as AddressInfo).port });
  await pass(operator, world);
  await world.player.play();
  const began = performance.now();
  expect(await operator.observe()).toMatchObject({ step: 'load', rows: 30, rowsPerSecond: 1_000 });
  expect(performance.now() - began).toBeLessThan(2_000);
});

test('a loader that fails ends its attempt once the others have ended; the next one begins', async () => {
  let hangs = true;
  const world = worldOf(({ attempt, index }) => {
    if (attempt > 1) return done;
    if (index === 1) return { exit: 75, message: problemWords('shard_unreachable') };
    return hangs ? { status: { phase: 'Running' } } : { exit: 75, message: problemWords('interrupted') };
  });
  const operator = world.operator();
  const fault = expect.objectContaining({ code: 'shard_unreachable', remedy: 'mend it' });
  const waiting = await passUntil(operator, world, (seen) => seen.fault !== null);
  expect(waiting).toMatchObject({ state: 'running', fault });
  expect(await pass(operator, world)).toMatchObject({ state: 'running' });
  hangs = false;
  expect(await passUntil(operator, world, isOf(1))).toMatchObject({ state: 'failed', fault });
  expect(await passUntil(operator, world, isOf(2))).toMatchObject({ state: 'succeeded' });
  expect(await namesOf(world.ref)).toEqual(exported(1, 2));
});

test('a straggler is not waited for longer than its time', async () => {
  const world = worldOf(({ index }) => (index === 1 ? { exit: 75 } : { status: { phase: 'Running' } }));
  await passUntil(world.operator(), world, (seen) => seen.fault !== null);
  const later = world.operator(api, { now: () => Date.now() + 31_000 });
  await pass(later, world);
  expect(await later.observe()).toMatchObject({ state: 'failed', fault: { code: 'exporter_ended' } });
  await pass(later, world);
  // Its Job goes, so that it is told to end when its node comes back.
  expect(await namesOf(world.ref)).not.toContain('Job load-1');
});

test('what a person must mend blocks, until the session is edited', async () => {
  const world = worldOf(({ attempt }) => (attempt === 1 ? { exit: 1, message: problemWords('target_unfit') } : done));
  const operator = world.operator();
  expect(await passUntil(operator, world, isOver)).toMatchObject({ state: 'blocked', fault: { code: 'target_unfit' } });
  for (let i = 0; i < 3; i++) expect(await pass(operator, world)).toMatchObject({ plan: { attempt: 1 } });
  world.generation = 2;
  expect(await passUntil(operator, world, isOf(2))).toMatchObject({ state: 'succeeded', plan: { generation: 2 } });
});

test.each([
  ['is lost with its pod', { ...done, lost: true }, 'exporter_ended', 'failed'],
  ['is not JSON', { exit: 0, message: 'killed' }, 'exporter_ended', 'failed'],
  ['proves another root', { exit: 0, message: done.message.replace(root, 'c'.repeat(64)) }, 'root_differs', 'blocked'],
  [
    'is that of a node that goes',
    {
      ...{ exit: 75, message: problemWords('interrupted') },
      conditions: [
        { type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler', message: 'for others' },
      ],
    },
    'exporter_disrupted',
    'failed',
  ],
  [
    'stands at the end of its log',
    { exit: 1, message: `{"level":50,"msg":"x"}\n${problemWords('verify_failed')}\n` },
    'verify_failed',
    'blocked',
  ],
  ['is missing, though it ended with 1', { exit: 1 }, 'exporter_ended', 'failed'],
] as const)('a publisher whose last word %s', async (_, fate, code, state) => {
  const world = worldOf(({ command, attempt }) => (command === 'publish' && attempt === 1 ? fate : done));
  const operator = world.operator();
  expect(await passUntil(operator, world, isOf(1))).toMatchObject({ state, fault: { code } });
  world.generation = 2;
  expect(await passUntil(operator, world, isOf(2))).toMatchObject({ state: 'succeeded', result });
});

const waits: readonly (readonly [what: string, status: object, code: string])[] = [
  [
    'no node',
    { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }] },
    'pod_unschedulable',
  ],
  [
    'no image',
    {
      containerStatuses: [
        {
          ...{ name: 'exporter', image: 'untradex', imageID: '', ready: false, restartCount: 0 },
          state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } },
        },
      ],
    },
    'image_pull_failed',
  ],
];

test.each(waits)('a pod that gets %s says so, and an edit makes another', async (_, status, code) => {
  const world = worldOf(({ attempt }) => (attempt === 1 ? { status } : done));
  const operator = world.operator();
  expect(await passUntil(operator, world, (seen) => seen.fault !== null)).toMatchObject({
    state: 'running',
    fault: { code },
  });
  expect(await pass(operator, world)).toMatchObject({ plan: { attempt: 1 }, state: 'running' });
  world.generation = 2;
  world.wish = { pod: { nodeSelector: { exams: 'yes' } } };
  expect(await passUntil(operator, world, isOf(2))).toMatchObject({ state: 'succeeded' });
  expect(await namesOf(world.ref)).not.toContain('Job load-1');
});

test('what the API server refuses blocks the attempt, and says which field', async () => {
  const world = worldOf();
  world.wish = { pod: { nodeSelector: { exams: 'not a label!' } } };
  const operator = world.operator();
  const over = await passUntil(operator, world, isOver);
  expect(over).toMatchObject({ state: 'blocked', fault: { code: 'api_invalid' } });
  expect(over.fault?.message).toContain('nodeSelector');
  world.wish = {};
  world.generation = 2;
  expect(await passUntil(operator, world, isOf(2))).toMatchObject({ state: 'succeeded' });
});

test('a claim grows when the session asks for more, where its class lets it', async () => {
  const storageClass = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'grows' } };
  await api.create({ ...storageClass, provisioner: 'tests', allowVolumeExpansion: true });
  for (const [volume, size] of [
    [{ storageClass: 'grows' }, '500Gi'],
    [{ storageClass: 'fixed' }, '2Gi'],
  ] as const) {
    const world = worldOf(({ attempt }) => (attempt === 1 ? { exit: 1, message: problemWords('target_unfit') } : done));
    const operator = world.operator();
    world.wish = { volume };
    await passUntil(operator, world, isOf(1));
    const claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      namespace,
      name: objectNames(world.ref).exportClaim,
    };
    await api.patch(claim, { spec: { volumeName: 'some' } }, { type: 'merge' });
    await api.patch(claim, { status: { phase: 'Bound' } }, { type: 'merge', subresource: 'status' });
    world.wish = { volume: { ...volume, storage: '500Gi' } };
    world.generation = 2;
    expect(await passUntil(operator, world, isOf(2))).toMatchObject({ state: 'succeeded' });
    const { spec } = (await api.get(claim))!;
    expect(spec).toMatchObject({ resources: { requests: { storage: size } } });
    expect(world.log.join().includes('stays at 2Gi')).toBe(size === '2Gi');
  }
});

test('a ConfigMap that somebody deletes or spoils', async () => {
  const world = worldOf();
  const operator = world.operator();
  await pass(operator, world);
  const map = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: objectNames(world.ref).attempt(1) };
  await api.patch(map, { data: { 'attempt.json': '{' } }, { type: 'merge' });
  await expect(operator.observe()).rejects.toMatchObject({
    code: 'attempt_unreadable',
    remedy: expect.stringContaining(map.name),
  });
  await expect(world.operator().observe()).rejects.toMatchObject({ code: 'attempt_unreadable' });
  await api.remove(map);
  expect(await operator.observe()).toBeNull();
  expect(await passUntil(operator, world, isOver)).toMatchObject({ state: 'succeeded', plan: { attempt: 1 } });
});

test('two operators at once make one attempt', async () => {
  const world = worldOf(({ attempt }) => (attempt === 1 ? { exit: 75, message: problemWords('sink_full') } : done));
  const two = [world.operator(), world.operator()];
  for (let passes = 0; passes < 20; passes++) {
    await Promise.all(two.map((operator) => pass(operator, world)));
    await world.player.play();
  }
  for (const operator of two)
    expect(await operator.observe()).toMatchObject({ state: 'succeeded', plan: { attempt: 2 } });
  expect(await namesOf(world.ref)).toEqual(exported(1, 2));
});

test('who removes a session in the middle of an attempt leaves no Job that works', async () => {
  const world = worldOf(() => ({ status: { phase: 'Running' } }));
  const operator = world.operator();
  await pass(operator, world);
  await world.player.play();
  await world.operator().remove();
  expect(await namesOf(world.ref)).toEqual([
    'ConfigMap attempt-1',
    'PersistentVolumeClaim export',
    'ServiceAccount exporter',
  ]);
});

test('after twelve attempts that failed there are the latest five, and the one that succeeds', async () => {
  const world = worldOf(({ attempt, index }) =>
    attempt <= 12 && index === 1 ? { exit: 75, message: problemWords('shard_unreachable') } : done,
  );
  const operator = world.operator();
  expect(await passUntil(operator, world, isOf(12))).toMatchObject({ state: 'failed' });
  expect(await passUntil(operator, world, isOf(13))).toMatchObject({ state: 'succeeded' });
  expect(await namesOf(world.ref)).toEqual(exported(9, 10, 11, 12, 13));
  expect(await world.operator().observe()).toMatchObject({ plan: { attempt: 13 }, state: 'succeeded' });
});

const writes = ['create', 'apply', 'update', 'patch', 'remove'] as const;

/** An API whose user is killed by its k-th write: that one is made, but the user learns nothing of it. */
function killedAt(k: number): { api: Api; count: () => number } {
  let made = 0;
  const wrapped = Object.fromEntries(
    writes.map((verb) => [
      verb,
      async (...args: never[]) => {
        if (made >= k) throw new Error('killed');
        made += 1;
        const reply = await (api[verb] as (...args: never[]) => Promise<unknown>)(...args);
        if (made === k) throw new Error('killed');
        return reply;
      },
    ]),
  );
  return { api: { ...api, ...wrapped }, count: () => made };
}

const failsFirst = ({ attempt, index }: PlayedPod): Fate =>
  attempt === 1 && index === 1 ? { exit: 75, message: problemWords('shard_unreachable') } : done;

test('an operator that is killed after any of its writes: the next one goes on, and the end is the same', async () => {
  const undisturbed = worldOf(failsFirst);
  const counting = killedAt(Number.POSITIVE_INFINITY);
  const end = await passUntil(undisturbed.operator(counting.api), undisturbed, isOf(2));
  expect(counting.count()).toBeGreaterThan(8);
  for (let k = 1; k <= counting.count(); k++) {
    const world = worldOf(failsFirst);
    const killed = world.operator(killedAt(k).api);
    await expect(passUntil(killed, world, isOf(2)), `after write ${k}`).rejects.toThrow('killed');
    // The cluster goes on meanwhile.
    if (k % 2 === 0) await world.player.play();
    const over = await passUntil(world.operator(), world, isOf(2));
    expect({ ...over, endedAt: 0, plan: null }, `after write ${k}`).toEqual({ ...end, endedAt: 0, plan: null });
    expect(await namesOf(world.ref), `after write ${k}`).toEqual(exported(1, 2));
  }
});
