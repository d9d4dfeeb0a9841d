import { beforeAll, expect, test } from 'vitest';
import { objectNames } from '#operator/kubernetes/names.ts';
import { configOf, modeLabel } from '#operator/kubernetes/resources/gatewaydeployment.ts';
import type { Api } from '#operator/kubernetes/runtime/api.ts';
import type { DesiredGateways } from '#operator/plan.ts';
import { desiredOf } from '#test/operator/kubernetes/gatewayparts.ts';
import { startApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';
import { apiOf, type Deployment, dyingApi, type GatewayWorld, gatewayWorld, kinds, type Open } from './gatewayworld.ts';

let api: Api;

beforeAll(async () => {
  api = apiOf(await startApiServer());
});

const serve = desiredOf({ replicas: 3 });
const answer = desiredOf({ replicas: 1, mode: 'answer' });
const none = desiredOf({ replicas: 0 });

const names = async (world: GatewayWorld, kind: keyof typeof kinds) =>
  (await world.list(kind)).map(({ metadata }) => metadata.name);
const configIn = (deployment: Deployment | null) => configOf(deployment?.spec.template);
const scaleTo = (world: GatewayWorld, replicas: number) =>
  api.patch(
    { ...kinds.Deployment, namespace: world.ref.namespace, name: objectNames(world.ref).gateway },
    { spec: { replicas } },
    { type: 'merge', subresource: 'scale', manager: 'kube-controller-manager' },
  );

test('makes what a session needs, whose pods the restricted profile takes, and tells of them', async () => {
  const world = await gatewayWorld(api);
  const gateways = await world.open({ spec: 'access: {host: exam.example.edu}' });
  expect([gateways.observe(), gateways.url()]).toEqual([[], null]);
  await gateways.apply(serve);
  expect(gateways.observe()).toEqual([]);
  const name = objectNames(world.ref).gateway;
  for (const kind of ['Service', 'ServiceAccount', 'Deployment', 'PodDisruptionBudget', 'Ingress'] as const)
    expect(await names(world, kind)).toEqual([name]);
  expect((await names(world, 'NetworkPolicy')).length).toBe(3);
  expect((await world.deployment())?.spec.replicas).toBe(3);
  await world.rollOut();
  await gateways.refresh();
  const observed = gateways.observe();
  expect(observed.map(({ mode, ready, fault }) => ({ mode, ready, fault }))).toEqual(
    Array.from({ length: 3 }, () => ({ mode: 'serve', ready: true, fault: null })),
  );
  expect(gateways.url()).toBe('https://exam.example.edu/exam');
});

test('a pass that changes nothing writes nothing, and one of a new process changes nothing', async () => {
  const world = await gatewayWorld(api);
  const counted = dyingApi(api, Number.POSITIVE_INFINITY);
  const gateways = await world.open({ api: counted.api });
  await gateways.apply(serve);
  await gateways.refresh();
  const [before, writes] = [await world.deployment(), counted.writes()];
  for (let pass = 0; pass < 3; pass++) await gateways.apply(serve);
  expect(counted.writes()).toBe(writes);
  await (await world.open()).apply(serve);
  expect((await world.deployment())?.metadata.generation).toBe(before?.metadata.generation);
  expect(await names(world, 'ConfigMap')).toHaveLength(1);
});

test('what somebody else changed is set right', async () => {
  const world = await gatewayWorld(api);
  const gateways = await world.open();
  await gateways.apply(serve);
  await scaleTo(world, 1);
  await gateways.refresh();
  await gateways.apply(serve);
  expect((await world.deployment())?.spec.replicas).toBe(3);
});

test('another configuration is another ConfigMap; the old one goes when no pod has it any more', async () => {
  const world = await gatewayWorld(api);
  const first = await world.open();
  await first.apply(serve);
  await world.rollOut();
  const old = configIn(await world.deployment());
  const gateways = await world.open({ incarnation: 'anew' });
  await gateways.apply(serve);
  await gateways.refresh();
  await gateways.apply(serve);
  const next = configIn(await world.deployment());
  expect(next).not.toBe(old);
  expect(new Set(await names(world, 'ConfigMap'))).toEqual(new Set([old, next]));
  await world.rollOut();
  await gateways.refresh();
  await gateways.apply(serve);
  expect(await names(world, 'ConfigMap')).toEqual([next]);
});

test('a cache that lags never has a configuration removed that pods are to get', async () => {
  const world = await gatewayWorld(api);
  await (await world.open()).apply(serve);
  await world.rollOut();
  const lagging = await world.open({ incarnation: 'anew' });
  for (let pass = 0; pass < 3; pass++) await lagging.apply(serve);
  expect(await names(world, 'ConfigMap')).toContain(configIn(await world.deployment()));
});

test('while a shard is made anew, what runs is left alone', async () => {
  const world = await gatewayWorld(api);
  await (await world.open()).apply(serve);
  const before = await world.all();
  const gateways = await world.open({ incarnation: 'anew' });
  await gateways.apply({ ...serve, replicas: 5, hold: true });
  expect(await world.all()).toEqual(before);
});

test('after the seal one gateway answers; an older one that still runs does not count as one', async () => {
  const world = await gatewayWorld(api);
  const gateways = await world.open({ spec: 'gateway: {autoscale: true}' });
  await gateways.apply(serve);
  await scaleTo(world, 5);
  await world.rollOut();
  await gateways.apply(answer);
  await gateways.refresh();
  const { spec } = (await world.deployment())!;
  expect([spec.replicas, spec.template.metadata?.labels?.[modeLabel]]).toEqual([1, 'answer']);
  expect(await names(world, 'HorizontalPodAutoscaler')).toEqual([]);
  expect(new Set(gateways.observe().map(({ mode }) => mode))).toEqual(new Set(['serve']));
  await world.rollOut();
  await gateways.refresh();
  expect(gateways.observe()).toMatchObject([{ mode: 'answer', ready: true }]);
});

test("the number is the autoscaler's: it survives every apply, of every process, and turning it on and off", async () => {
  const world = await gatewayWorld(api);
  const scaled = { spec: 'gateway: {autoscale: true, maxReplicas: 9}' };
  const replicas = async () => (await world.deployment())?.spec.replicas;
  const passes = async (how: Open, desired = serve) => {
    const gateways = await world.open(how);
    for (let pass = 0; pass < 2; pass++) {
      await gateways.apply(desired);
      await gateways.refresh();
    }
  };
  await passes(scaled);
  expect(await replicas()).toBe(3);
  await scaleTo(world, 7);
  await passes(scaled);
  await passes({ ...scaled, incarnation: 'anew' });
  expect(await replicas()).toBe(7);
  await passes(scaled, { ...serve, replicas: 8 });
  expect(await replicas()).toBe(8);
  await passes({});
  expect([await replicas(), await names(world, 'HorizontalPodAutoscaler')]).toEqual([3, []]);
  await passes(scaled);
  expect(await replicas()).toBe(3);
  await scaleTo(world, 4);
  await passes(scaled);
  expect(await replicas()).toBe(4);
});

test('an upgraded operator leaves the pods alone until the session wants others', async () => {
  const world = await gatewayWorld(api);
  await (await world.open({ version: '0.9.0' })).apply(desiredOf({ replicas: 3, connections: 7 }));
  const old = await world.deployment();
  await world.rollOut();
  const upgraded = await world.open({ version: '1.0.0' });
  // The new version would give them another limit.
  for (let pass = 0; pass < 2; pass++) {
    await upgraded.apply({ ...serve, replicas: 4 });
    await upgraded.refresh();
    await world.rollOut();
  }
  const kept = await world.deployment();
  expect(kept?.spec.template).toEqual(old?.spec.template);
  expect(kept?.spec.replicas).toBe(4);
  expect(await names(world, 'ConfigMap')).toEqual([configIn(old)]);
  await upgraded.apply(answer);
  expect(configIn(await world.deployment())).not.toBe(configIn(old));
});

test('a cluster without the Gateway API has a fault with a remedy, and the rest works', async () => {
  const world = await gatewayWorld(api);
  const access = 'access: {host: exam.example.edu, gateway: {name: public}}';
  const gateways = await world.open({ spec: access });
  await gateways.apply(serve);
  const [fault] = gateways.observe();
  expect(fault).toMatchObject({ id: 'HTTPRoute', ready: false, fault: { code: 'gateway_api_missing' } });
  expect(fault?.fault?.remedy).toContain('leave spec.access.gateway out');
  expect((await world.deployment())?.spec.replicas).toBe(3);
  const mended = await world.open({ spec: 'access: {host: exam.example.edu}' });
  await mended.apply(serve);
  expect(mended.observe()).toEqual([]);
  expect(await names(world, 'Ingress')).toHaveLength(1);
  await installGatewayApi();
  await gateways.apply(serve);
  expect(gateways.observe()).toEqual([]);
  expect(await names(world, 'HTTPRoute')).toHaveLength(1);
  await (await world.open()).apply(serve);
  expect([await names(world, 'HTTPRoute'), await names(world, 'Ingress')]).toEqual([[], []]);
});

/** The kind alone, without the rules of its fields. */
async function installGatewayApi(): Promise<void> {
  const group = 'gateway.networking.k8s.io';
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  await api.create({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `httproutes.${group}`, annotations: { 'api-approved.kubernetes.io': 'unapproved, for a test' } },
    spec: {
      ...{ group, scope: 'Namespaced', names: { plural: 'httproutes', kind: 'HTTPRoute' } },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
  const listed = async () => (await api.list({ ...kinds.HTTPRoute })).items;
  await until(listed, { what: 'the new kind', timeoutMs: 30_000 });
}

test('what the API server refuses is a fault in its words, and ends when it is mended', async () => {
  const world = await gatewayWorld(api);
  const wrong = await world.open({ spec: 'gateway: {pod: {tolerations: [{operator: Exists, value: x}]}}' });
  await wrong.apply(serve);
  const [refused] = wrong.observe();
  expect(refused).toMatchObject({ id: 'Deployment', ready: false, fault: { code: 'api_invalid' } });
  expect(refused?.fault?.message).toContain('tolerations');
  await wrong.apply(none);
  expect(wrong.observe()).toEqual([]);
});

test('removes everything but the policies, by itself and when asked to', async () => {
  for (const how of ['apply', 'remove'] as const) {
    const world = await gatewayWorld(api);
    await (await world.open({ spec: 'access: {host: a.edu}, gateway: {autoscale: true}' })).apply(serve);
    const gateways = await world.open();
    await (how === 'apply' ? gateways.apply(none) : gateways.remove());
    expect(new Set(((await world.all()) as { kind: string }[]).map(({ kind }) => kind))).toEqual(
      new Set(['NetworkPolicy']),
    );
    await (how === 'apply' ? gateways.apply(none) : gateways.remove());
  }
});

/** A whole life of gateways, a step a line. */
const scaled = 'gateway: {autoscale: true}, access: {host: exam.example.edu}';
const life: readonly (Open & { readonly desired: DesiredGateways })[] = [
  { spec: scaled, desired: desiredOf({ replicas: 1 }) },
  { spec: scaled, desired: desiredOf({ replicas: 2 }), incarnation: 'anew' },
  { desired: desiredOf({ replicas: 1 }), incarnation: 'anew' },
  { desired: answer, incarnation: 'anew' },
  { desired: none, incarnation: 'anew' },
];

/**
 * Lives it with an operator that is killed after one write, until the step after that one; a new process goes on
 * where it was. Gives what was there after each step.
 */
async function live(world: GatewayWorld, dieAfter: number): Promise<{ states: unknown[]; writes: number }> {
  const dying = dyingApi(api, dieAfter);
  let through = dying.api;
  const states: unknown[] = [];
  for (const { desired, ...how } of life) {
    const wasKilled = through !== dying.api;
    for (let passes = 0, gateways = null; passes < 2; ) {
      try {
        gateways ??= await world.open({ ...how, api: through });
        await gateways.apply(desired);
        await world.rollOut();
        await gateways.refresh();
        passes += 1;
      } catch (error) {
        if ((error as Error).message !== 'killed') throw error;
        [gateways, through] = [null, api];
      }
    }
    states.push(await world.all());
    if (wasKilled) break;
  }
  return { states, writes: dying.writes() };
}

test('an operator that is killed after any of its writes leads to the same, at each step', async () => {
  const whole = await live(await gatewayWorld(api), Number.POSITIVE_INFINITY);
  expect(whole.writes).toBeGreaterThan(25);
  const kills = Array.from({ length: whole.writes }, (_, index) => index + 1);
  const next = async () => {
    for (let write = kills.shift(); write !== undefined; write = kills.shift()) {
      const { states, writes } = await live(await gatewayWorld(api), write);
      expect(writes).toBe(write);
      expect(states, `killed after write ${write}`).toEqual(whole.states.slice(0, states.length));
    }
  };
  await Promise.all([next(), next(), next(), next()]);
});
