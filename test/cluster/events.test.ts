import { KubeConfig } from '@kubernetes/client-node';
import { beforeAll, expect, test } from 'vitest';
import { type Api, createApi, type KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { createEventRecorder, type EventRecorderOptions } from '#operator/kubernetes/runtime/events.ts';
import { problem } from '#queue/problem.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';

let cluster: TestApiServer;
let api: Api;

beforeAll(async () => {
  cluster = await startApiServer();
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  api = createApi(config, { userAgent: 'untradex-test' });
  onScopeEnd(() => api.close());
});

function recorder(options: Partial<EventRecorderOptions> = {}) {
  const errors: unknown[] = [];
  const reporter = { component: 'untradex.io/operator', instance: 'operator-0' };
  const made = createEventRecorder({ api, ...reporter, onError: (error) => errors.push(error), ...options });
  onScopeEnd(() => made.stop());
  return Object.assign(made, { errors });
}

async function mapOf(name: string): Promise<KubeObject> {
  return api.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } });
}

interface StoredEvent {
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly series?: { readonly count: number };
}

async function eventsOf(name: string): Promise<StoredEvent[]> {
  const { items } = await api.list({ apiVersion: 'events.k8s.io/v1', kind: 'Event', namespace: 'default' });
  const regarding = (it: KubeObject) => (it.regarding as { readonly name: string }).name;
  return items.filter((it) => regarding(it) === name) as unknown as StoredEvent[];
}

const ready = { type: 'Normal', reason: 'Ready', note: 'everything is ready' } as const;

test('an event is there for kubectl, and what is repeated counts', async () => {
  const map = await mapOf('counted');
  const events = recorder({ repeatMs: 100 });
  events.record({ regarding: map, ...ready });
  await until(async () => (await eventsOf('counted')).length === 1, { what: 'the event' });
  for (let i = 0; i < 4; i++) events.record({ regarding: map, ...ready });
  events.record({ regarding: map, type: 'Warning', reason: 'Stuck', note: 'nothing moves' });
  await until(async () => (await eventsOf('counted')).some(({ series }) => series?.count === 5), { what: 'five' });
  expect(await eventsOf('counted')).toHaveLength(2);
  const { stdout } = await cluster.kubectl(['events', '--for', 'configmap/counted']);
  expect(stdout).toMatch(/Normal +Ready +ConfigMap\/counted +everything is ready/);
  expect(stdout).toContain('(x5 over');
  const described = await cluster.kubectl(['get', 'events', '--field-selector', 'involvedObject.name=counted']);
  expect(described.stdout).toMatch(/Warning +Stuck +configmap\/counted +nothing moves/);
  expect(events.errors).toEqual([]);
});

test('an event that the cluster forgot is written again', async () => {
  const map = await mapOf('forgotten');
  const events = recorder({ repeatMs: 50 });
  events.record({ regarding: map, ...ready });
  await until(async () => (await eventsOf('forgotten')).length === 1, { what: 'the event' });
  await cluster.kubectl(['delete', 'events', '--all']);
  events.record({ regarding: map, ...ready });
  await until(async () => (await eventsOf('forgotten')).length === 1, { what: 'the event again' });
  expect(events.errors).toEqual([]);
});

test('a stop writes what waits', async () => {
  const map = await mapOf('stopped');
  const events = recorder();
  for (let i = 0; i < 3; i++) events.record({ regarding: map, ...ready, note: `step ${i}` });
  await events.stop();
  expect((await eventsOf('stopped')).map(({ note }) => note).toSorted()).toEqual(['step 0', 'step 1', 'step 2']);
  events.record({ regarding: map, ...ready });
  expect(events.dropped).toBe(1);
});

test('many different notes of one reason become few events', async () => {
  const map = await mapOf('chatty');
  const events = recorder({ repeatMs: 50 });
  for (let i = 0; i < 500; i++) events.record({ regarding: map, ...ready, note: `at ${i}` });
  await events.stop();
  const stored = await eventsOf('chatty');
  expect(stored).toHaveLength(11);
  expect(stored.find(({ series }) => series !== undefined)?.series?.count).toBe(490);
  expect(events.dropped).toBe(0);
});

test('events that nobody takes are told and dropped, and recording them never throws', async () => {
  const map = await mapOf('refused');
  const refuse = () => Promise.reject(problem('not_leader', 'no more', 'Nothing.'));
  const events = recorder({ api: { create: refuse, patch: refuse } });
  events.record({ regarding: map, ...ready });
  await until(() => events.errors.length === 1, { what: 'the error' });
  expect(events.dropped).toBe(1);
  for (let i = 0; i < 9_000; i++) {
    const metadata = { name: `many-${i}`, namespace: 'default' };
    events.record({ regarding: { ...map, metadata }, ...ready });
  }
  expect(events.dropped).toBeGreaterThanOrEqual(5_000);
});
