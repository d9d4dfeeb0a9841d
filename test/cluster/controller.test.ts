import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { digestOf } from '#operator/kubernetes/digest.ts';
import { finalizers, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import type { SessionStatus } from '#operator/status.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { inUse } from '#test/support/kubelet/controllers.ts';
import type { Program } from '#test/support/process.ts';
import { until } from '#test/support/until.ts';
import { type GateWrite, startWriteGate } from '#test/support/writegate.ts';
import {
  type Class,
  type ControllerWorld,
  controllerWorld,
  exportedRows,
  installDefinition,
  startClass,
} from './controllerworld.ts';

// The operator as a real process, against a real API server; pods are real processes of this machine.

let server: TestApiServer;

beforeAll(async () => {
  server = await startApiServer();
  await installDefinition(server);
});

const small = { students: 20, graceSeconds: 1, redis: { shards: 2 }, gateway: { replicas: 2 } };

function expectAllExported(rows: readonly [string, string][], { sent, acknowledged }: Class): void {
  const table = new Map(rows);
  expect(rows).toHaveLength(table.size);
  expect([...acknowledged].filter((id) => !table.has(id))).toEqual([]);
  expect(rows.filter(([id, payload]) => sent.get(id) !== payload)).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(20);
}

/** Everything in the namespace but what is there without us. */
async function everything(world: ControllerWorld): Promise<string[]> {
  const kinds = [
    ...(['StatefulSet', 'Deployment', 'Job', 'Pod', 'ConfigMap', 'Secret', 'Service', 'ServiceAccount'] as const),
    ...(['PodDisruptionBudget', 'HorizontalPodAutoscaler', 'NetworkPolicy', 'Ingress'] as const),
  ];
  const lists = await Promise.all(kinds.map(async (kind) => (await world.list(kind)).map(nameOf(kind))));
  return lists.flat().filter((name) => name !== 'ConfigMap kube-root-ca.crt' && name !== 'ServiceAccount default');
}

const nameOf = (kind: string) => (object: KubeObject) => `${kind} ${object.metadata.name}`;

async function expectGone(world: ControllerWorld, name: string): Promise<void> {
  await until(async () => (await world.session(name)) === null, { what: 'the session to be gone', timeoutMs: 60_000 });
  const left = until(async () => (await everything(world)).length === 0, { what: 'all to be gone', timeoutMs: 20_000 });
  await left.catch(async () => expect(await everything(world)).toEqual([]));
}

async function claims(world: ControllerWorld): Promise<[string, readonly string[]][]> {
  const all = await world.list('PersistentVolumeClaim');
  return all.map(({ metadata }) => [metadata.name, (metadata.finalizers ?? []).toSorted()]);
}

function claimNames(ref: SessionRef): { queue: string[]; all: string[] } {
  const { exportClaim, redisClaim } = objectNames(ref);
  const queue = [redisClaim(0), redisClaim(1)];
  return { queue, all: [...queue, exportClaim].toSorted() };
}

/** From being made until it is verified, with students who answer meanwhile. */
async function examOf(world: ControllerWorld, name: string, meanwhile: () => Promise<void> = async () => {}) {
  const ref = await world.apply(name, small);
  await world.condition(name, 'Ready', 120_000);
  const students = await startClass(world, ref, 10);
  const answered = () => students.acknowledged.size > 100;
  await until(answered, { what: 'a hundred acknowledgements', timeoutMs: 60_000 });
  await meanwhile();
  await world.edit(name, { spec: { phase: 'Finalizing' } });
  await world.condition(name, 'Verified', 240_000);
  await students.stop();
  expectAllExported(await exportedRows(world, ref), students);
  return ref;
}

test('a session lives from its making to its end, and every acknowledged answer is in the table', async () => {
  const world = await controllerWorld(server);
  const operator = world.operator();
  const ref = await examOf(world, 'algebra');
  await world.deleteSession('algebra');
  await expectGone(world, 'algebra');
  // What was proved may be deleted by whoever wants to.
  expect(await claims(world)).toEqual(claimNames(ref).all.map((name) => [name, [inUse]]));
  operator.kill('SIGTERM');
  expect(await operator.ended()).toEqual({ code: 0, signal: null });
});

/** Two candidates, of which the one that leads is killed; another is started in its place. */
function candidates(world: ControllerWorld, env: Readonly<Record<string, string>> = {}) {
  const running = new Set([world.operator(env), world.operator(env)]);
  return {
    /** False when none leads. */
    kill(): boolean {
      const victim = [...running].find((one) => one.stdout.includes('"msg":"leads"'));
      if (victim === undefined) return false;
      victim.kill();
      running.delete(victim);
      running.add(world.operator(env));
      return true;
    },
  };
}

/** What a write does for the session's life. A new process applies what is there once more, and counts anew. */
function meaningOf({ method, path, body }: GateWrite): string {
  const [where = ''] = path.split('?');
  if (!where.endsWith('/status')) return `${method} ${where} ${digestOf(body)}`;
  const { phase, sealing, redis, export: exported } = (body as { status: SessionStatus }).status;
  return `${where} ${phase} ${sealing !== undefined} ${redis.root !== undefined} ${exported?.attempt} ${exported?.state}`;
}

test('it lives as well when the leader is killed after each write that it makes', { timeout: 900_000 }, async () => {
  const world = await controllerWorld(server);
  const gate = await startWriteGate(server);
  const operators = candidates(world, { KUBECONFIG: gate.kubeconfig });
  const seen = new Set<string>();
  let kills = 0;
  gate.onWrite = (write) => {
    const meaning = meaningOf(write);
    if (seen.has(meaning)) return;
    seen.add(meaning);
    kills += Number(operators.kill());
    // Nobody has to wait until its lease is over: it is dead.
    void world.node.space.api.patch(world.lease, { spec: { holderIdentity: '' } }, { type: 'merge' }).catch(() => {});
  };
  const ref = await examOf(world, 'algebra');
  await world.deleteSession('algebra');
  await expectGone(world, 'algebra');
  expect(await claims(world)).toEqual(claimNames(ref).all.map((name) => [name, [inUse]]));
  console.log(`${gate.writes.length} writes, ${seen.size} of them different; killed ${kills} times`);
  expect(kills).toBeGreaterThan(30);
});

test('it lives as well when operators, gateways, shards and exporters are killed at any time', async () => {
  const world = await controllerWorld(server);
  const operators = candidates(world);
  const killed = { operator: 0, '-gateway-': 0, '-redis-': 0, '-load-': 0, '-publish-': 0 };
  let isOver = false;
  const killer = (async () => {
    while (!isOver) {
      await sleep(1_000 + Math.random() * 4_000);
      const [part] = Object.keys(killed).sort(() => Math.random() - 0.5) as (keyof typeof killed)[];
      // An export that is killed each time never ends.
      const isEnough = (part === '-load-' || part === '-publish-') && killed[part] > 1;
      if (!isOver && !isEnough)
        killed[part!] += part === 'operator' ? Number(operators.kill()) : world.node.kill9(part!);
    }
  })();
  try {
    const ref = await examOf(world, 'algebra', () => sleep(10_000));
    await world.deleteSession('algebra');
    await expectGone(world, 'algebra');
    expect(await claims(world)).toEqual(claimNames(ref).all.map((name) => [name, [inUse]]));
  } finally {
    isOver = true;
    await killer;
    console.log(`killed: ${JSON.stringify(killed)}`);
  }
});

test('what is not verified is kept, whoever deletes the session, and a new one of its name does not meet it', async () => {
  const world = await controllerWorld(server);
  world.operator();
  const old = await world.apply('algebra', small);
  await world.condition('algebra', 'Ready');
  await world.deleteSession('algebra');
  await expectGone(world, 'algebra');
  const kept = [finalizers.answers, inUse].toSorted();
  expect(await claims(world)).toEqual(claimNames(old).queue.map((name) => [name, kept]));

  const ref = await world.apply('algebra', small);
  expect(ref.uid).not.toBe(old.uid);
  await world.condition('algebra', 'Ready');
  const events = await world.node.space.api.list({ apiVersion: 'v1', kind: 'Event', namespace: world.namespace });
  expect(events.items).toContainEqual(expect.objectContaining({ reason: 'AnswersKept', type: 'Warning' }));
  // Somebody says, by its uid, that the new one may go: then nothing holds its claims.
  await world.edit('algebra', { metadata: { annotations: { 'untradex.io/delete-unverified': ref.uid } } });
  await world.deleteSession('algebra');
  await expectGone(world, 'algebra');
  const left = new Map(await claims(world));
  expect(claimNames(ref).queue.map((name) => left.get(name))).toEqual([[inUse], [inUse]]);
  expect(claimNames(old).queue.map((name) => left.get(name))).toEqual([kept, kept]);
});

test("the queue's claims go when keepQueueFor is over, and the export stays", async () => {
  const world = await controllerWorld(server);
  world.operator();
  const ref = await examOf(world, 'algebra');
  const { api } = world.node.space;
  await world.edit('algebra', { spec: { export: { keepQueueFor: '2h' } } });
  const noPods = async () =>
    (await world.list('Pod')).every(
      ({ metadata }) => metadata.name.includes('publish') || metadata.name.includes('load'),
    );
  await until(noPods, { what: 'nothing to run any more', timeoutMs: 30_000 });
  await sleep(1_000);
  expect(await claims(world)).toHaveLength(3);
  // Two hours pass.
  const at = { apiVersion: 'v1', kind: 'ConfigMap', namespace: world.namespace, name: objectNames(ref).attempt(1) };
  const attempt = (await api.get(at))!.data as Record<string, string>;
  const outcome = JSON.parse(attempt['outcome.json']!) as { endedAt: number };
  const earlier = { ...outcome, endedAt: outcome.endedAt - 2 * 3_600_000 };
  await api.patch(at, { data: { 'outcome.json': JSON.stringify(earlier) } }, { type: 'merge' });
  await world.edit('algebra', { metadata: { annotations: { look: 'again' } } });
  await until(async () => (await claims(world)).length === 1, { what: "the queue's claims to go", timeoutMs: 20_000 });
  expect(await claims(world)).toEqual([[objectNames(ref).exportClaim, [finalizers.answers, inUse].toSorted()]]);
});

test('a paused session is only looked at', async () => {
  const world = await controllerWorld(server);
  world.operator();
  await world.apply('algebra', small);
  const isActive = async () => (await world.status('algebra'))?.phase === 'Active';
  await until(isActive, { what: 'the session to be active', timeoutMs: 60_000 });
  await world.edit('algebra', {
    metadata: { annotations: { 'untradex.io/paused': 'true' } },
    spec: { phase: 'Finalizing' },
  });
  await world.condition('algebra', 'Paused');
  await sleep(2_500);
  expect(await world.status('algebra')).toMatchObject({ phase: 'Active' });
  expect((await world.status('algebra'))!.sealing).toBeUndefined();
  await world.edit('algebra', { metadata: { annotations: { 'untradex.io/paused': null } } });
  await world.condition('algebra', 'Verified');
});

test('a session that is not admissible is told what is wrong, and begins when that is mended', async () => {
  const world = await controllerWorld(server);
  world.operator();
  const roster = { closesAt: '2099-01-01T00:00:00Z', roster: { configMap: { name: 'students' } } };
  await world.apply('algebra', { ...small, ...roster });
  const accepted = async () => (await world.status('algebra'))?.conditions.find(({ type }) => type === 'Accepted');
  await until(async () => (await accepted())?.status === 'False', { what: 'the refusal', timeoutMs: 20_000 });
  expect((await accepted())!.message).toContain('there is no ConfigMap students');
  expect((await everything(world)).filter((name) => !name.startsWith('ConfigMap'))).toEqual([]);
  const { api } = world.node.space;
  const metadata = { name: 'students', namespace: world.namespace };
  await api.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'roster.csv': 'student-1,30\n' } });
  await world.condition('algebra', 'Ready');
  // Who removes it in the middle of the exam takes nobody's minutes away, and the exam can still be ended.
  await api.remove({ apiVersion: 'v1', kind: 'ConfigMap', ...metadata });
  await until(async () => (await accepted())?.status === 'False', { what: 'to be told', timeoutMs: 40_000 });
  await world.edit('algebra', { spec: { phase: 'Finalizing' } });
  await world.condition('algebra', 'Verified');
});

test('a leader that is told to end hands over at once; one that loses the Lease ends at once', async () => {
  const world = await controllerWorld(server);
  const leads = (one: Program) => one.stdout.includes('"msg":"leads"');
  const first = world.operator();
  await until(() => leads(first), { what: 'a leader', timeoutMs: 20_000 });
  const second = world.operator();
  await until(() => second.stdout.includes('"msg":"started"'), { what: 'a standby', timeoutMs: 20_000 });
  first.kill('SIGTERM');
  expect(await first.ended()).toEqual({ code: 0, signal: null });
  await until(() => leads(second), { what: 'the hand-over', timeoutMs: 2_000 });
  const { api } = world.node.space;
  await api.patch(world.lease, { spec: { holderIdentity: 'somebody else' } }, { type: 'merge' });
  expect(await second.ended()).toEqual({ code: 1, signal: null });
});
