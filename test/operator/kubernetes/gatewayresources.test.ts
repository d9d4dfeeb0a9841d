import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { V1Deployment, V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readConfig } from '#gateway/config.ts';
import { urlOf } from '#operator/kubernetes/access.ts';
import { gatewayConfig, gatewayInputs } from '#operator/kubernetes/gatewayconfig.ts';
import { annotationNames, labelNames, objectNames, selectorOf } from '#operator/kubernetes/names.ts';
import { autoscaler, replicaRange, replicasToSet } from '#operator/kubernetes/resources/autoscaler.ts';
import { gatewayAccount } from '#operator/kubernetes/resources/gatewayaccount.ts';
import { gatewayBudget } from '#operator/kubernetes/resources/gatewaybudget.ts';
import { gatewayConfigMap } from '#operator/kubernetes/resources/gatewayconfigmap.ts';
import {
  configOf,
  type GatewayDeploymentInput,
  gatewayDeployment,
  keepingPods,
} from '#operator/kubernetes/resources/gatewaydeployment.ts';
import { gatewayService } from '#operator/kubernetes/resources/gatewayservice.ts';
import { httpRoute } from '#operator/kubernetes/resources/httproute.ts';
import { ingress } from '#operator/kubernetes/resources/ingress.ts';
import { exporterPolicy, gatewayPolicy, redisPolicy } from '#operator/kubernetes/resources/networkpolicies.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/object.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { desiredOf, identity, ownerOf, refOf, sessionOf, settings } from './gatewayparts.ts';

const ref = refOf();
const part = { ref, owner: ownerOf(ref) };
const { shards } = identity;

function configOfSession(spec = '', change = {}) {
  return gatewayConfig({ ref, session: sessionOf(spec), shards, desired: desiredOf(change), settings });
}

function deploymentOf(spec = '', change: Partial<GatewayDeploymentInput> = {}) {
  return gatewayDeployment({
    ...part,
    ...{ spec: sessionOf(spec).spec, desired: desiredOf(), config: 'algebra-gateway-1', image: 'untradex:pinned' },
    ...{ inputs: 'wishes', settings },
    ...change,
  });
}

const templateOf = (deployment: KubeObject) => (deployment as KubeObject & V1Deployment).spec!.template;
const podOf = (deployment: KubeObject) => templateOf(deployment).spec as V1PodSpec;

describe('everything of the gateways', () => {
  const access = { ...sessionOf().spec.access, host: 'exam.example.edu' };
  const all = (given = part) => [
    gatewayAccount(given),
    gatewayService(given),
    gatewayBudget(given),
    gatewayConfigMap(given, configOfSession()),
    { ...deploymentOf(), ...gatewayDeployment({ ...inputOf(), ...given }) },
    autoscaler(given, { min: 2, max: 4 }),
    ingress(given, access),
    httpRoute(given, { ...access, gateway: { name: 'public' } }),
    redisPolicy(given, settings),
    gatewayPolicy(given, settings),
    exporterPolicy(given, settings),
  ];
  const inputOf = () => ({
    ...part,
    ...{ spec: sessionOf().spec, desired: desiredOf(), config: 'c', image: 'i', inputs: 'w', settings },
  });

  test("has a name that fits, the session's labels and its owner, whatever the session is called", () => {
    const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/);
    fc.assert(
      fc.property(name, fc.uuid(), (name, uid) => {
        const given = refOf({ name, uid });
        for (const { metadata, kind } of all({ ref: given, owner: ownerOf(given) })) {
          expect(metadata.name, kind).toMatch(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/);
          expect(metadata.labels).toMatchObject({ [labelNames.uid]: uid, [labelNames.session]: name });
          const owner = { kind: 'ExamSession', name, uid, controller: true, blockOwnerDeletion: true };
          expect(metadata.ownerReferences).toEqual([{ apiVersion: 'untradex.io/v1alpha1', ...owner }]);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('of two sessions with the same name never meets', () => {
    const other = refOf({ uid: '00000000-5a69-4788-9a0b-1c2d3e4f5061' });
    const names = (objects: KubeObject[]) => objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    const theirs = new Set(names(all({ ref: other, owner: ownerOf(other) })));
    expect(names(all()).filter((name) => theirs.has(name))).toEqual([]);
  });
});

describe('the configuration', () => {
  test('is what the gateway takes', () => {
    const folder = tmpFolder('gatewayconfig');
    const written = (text: string) => text.replaceAll('/etc/untradex-keys', folder);
    const key = Buffer.alloc(32, 7).toString('base64url');
    for (const name of ['redis-password', 'token.key', 'connection.key']) writeFileSync(join(folder, name), key);
    const { privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(join(folder, 'receipt.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const { data } = gatewayConfigMap(part, configOfSession()) as unknown as { data: Record<string, string> };
    writeFileSync(join(folder, 'gateway.json'), written(data['gateway.json']!));
    const config = readConfig(join(folder, 'gateway.json'));
    expect(config).toMatchObject({
      session: { name: 'algebra', uid: ref.uid, exam: 'algebra' },
      listen: { host: '0.0.0.0', port: 8080 },
      ops: { host: '0.0.0.0', port: 9090 },
      ...{ mode: 'serve', capacity: 10_000, drainMs: 20_000 },
    });
    const hosts = config.shards.map(({ endpoint, incarnation }) => [endpoint.host, incarnation]);
    const redis = 'algebra-3f1d2c4b-redis';
    expect(hosts).toEqual([
      [`${redis}-0.${redis}.exams.svc.cluster.local`, 'incarnation-0'],
      [`${redis}-1.${redis}.exams.svc.cluster.local`, 'incarnation-1'],
    ]);
  });

  test('names its ConfigMap: another content, another name', () => {
    const nameOf = (change: object) => gatewayConfigMap(part, configOfSession('', change)).metadata.name;
    expect(nameOf({})).toBe(nameOf({ replicas: 7 }));
    expect(new Set([nameOf({}), nameOf({ mode: 'answer' }), nameOf({ connections: 1 })]).size).toBe(3);
  });

  test("lets pages of the session's own host connect", () => {
    expect(configOfSession().origins).toEqual([]);
    expect(configOfSession('access: {host: exam.example.edu}').origins).toEqual(['https://exam.example.edu']);
    const both = configOfSession('access: {host: a.edu, origins: ["https://b.edu", "https://a.edu"]}');
    expect(both.origins).toEqual(['https://b.edu', 'https://a.edu']);
  });

  test('believes an identity provider, or a key', () => {
    const { auth } = configOfSession('auth: {jwksUrl: "https://id.edu/keys", issuer: me}');
    expect(auth).toEqual({ secretFile: null, jwksUrl: 'https://id.edu/keys', issuer: 'me', audience: 'algebra' });
    expect(configOfSession().auth.secretFile).toBe('/etc/untradex-keys/token.key');
  });
});

describe('the Deployment', () => {
  test('leaves the number of gateways to whoever it belongs to', () => {
    for (const spec of ['', 'gateway: {autoscale: true}', 'gateway: {replicas: 7}'])
      expect(deploymentOf(spec).spec).not.toHaveProperty('replicas');
  });

  test('never has fewer gateways than planned when it rolls over', () => {
    const { strategy } = (deploymentOf() as KubeObject & V1Deployment).spec!;
    expect(strategy).toEqual({ type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '25%' } });
  });

  test('gives a gateway the time that its end may take', () => {
    const pod = podOf(deploymentOf());
    const { seconds } = pod.containers[0]!.lifecycle!.preStop!.sleep!;
    // gateway/main.ts cuts a drain 20 s after its time.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(seconds + configOfSession().drainSeconds + 20);
  });

  test('asks for what the plan says, or the session', () => {
    const resourcesOf = (spec = '') => podOf(deploymentOf(spec)).containers[0]!.resources;
    expect(resourcesOf()).toEqual({ requests: { cpu: '1', memory: '704Mi' }, limits: { memory: '704Mi' } });
    const given = 'gateway: {resources: {cpu: 100m, memory: 256Mi}}';
    expect(resourcesOf(given)).toEqual({ requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '256Mi' } });
  });

  test('mounts the keys that are needed and no other', () => {
    const sourcesOf = (spec = '') => {
      const volume = podOf(deploymentOf(spec)).volumes!.find(({ name }) => name === 'keys')!;
      return volume.projected!.sources!.map(({ secret }) => [secret!.name, secret!.items!.map(({ path }) => path)]);
    };
    const own = objectNames(ref).secrets.gateway;
    const always = ['redis-password', 'connection.key', 'receipt.pem'];
    expect(sourcesOf()).toEqual([[own, [...always, 'token.key']]]);
    expect(sourcesOf('auth: {jwksUrl: "https://id.edu/keys"}')).toEqual([[own, always]]);
    expect(sourcesOf('auth: {secretRef: {name: theirs}}')).toEqual([
      [own, always],
      ['theirs', ['token.key']],
    ]);
  });

  test("puts its own labels over the session's, so that they still select", () => {
    const labels = Object.keys(selectorOf(ref, 'gateway')).map((name) => `"${name}": mine`);
    const spec = `gateway: {pod: {labels: {team: x, ${labels.join(', ')}}, annotations: {a: b}}}`;
    const { metadata } = templateOf(deploymentOf(spec));
    expect(metadata!.labels).toMatchObject({ team: 'x', ...selectorOf(ref, 'gateway') });
    expect(metadata!.annotations).toMatchObject({ a: 'b' });
  });

  test('holds no secret and no token', () => {
    const pod = podOf(deploymentOf());
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.containers[0]!.env).toBeUndefined();
    expect(pod.volumes!.every(({ configMap, projected }) => configMap ?? projected)).toBe(true);
  });
});

describe('an upgraded operator', () => {
  const live = {
    ...deploymentOf('', { settings: { ...settings, version: '0.9.0' }, config: 'algebra-gateway-old' }),
  };
  const configIn = (deployment: KubeObject) => configOf(templateOf(deployment) as V1PodTemplateSpec);
  const madeBy = ({ metadata }: KubeObject) => metadata.annotations![annotationNames.madeBy];

  test('leaves the pods that were made for the same wishes, however often it looks', () => {
    const kept = keepingPods(deploymentOf(), live);
    expect([configIn(kept), madeBy(kept)]).toEqual(['algebra-gateway-old', expect.stringMatching(/^0\.9\.0\+/)]);
    expect(keepingPods(deploymentOf(), kept)).toEqual(kept);
  });

  test('and one whose own settings were changed does too', () => {
    const images = { ...settings.images, pullSecrets: ['other'] };
    const changed = deploymentOf('', { settings: { ...settings, images }, config: 'algebra-gateway-new' });
    expect(templateOf(keepingPods(changed, deploymentOf()))).toEqual(templateOf(deploymentOf()));
  });

  test('makes others when the wishes are others, when it made them itself, and when there are none', () => {
    const built = deploymentOf('', { inputs: 'others' });
    expect(keepingPods(built, live)).toBe(built);
    expect(keepingPods(deploymentOf(), deploymentOf('', { config: 'x' }))).toEqual(deploymentOf());
    expect(keepingPods(built, null)).toBe(built);
  });

  test('takes other limits of its own for no other wish, and an edit for one', () => {
    const inputsOf = (spec = '', change = {}, image = 'i', students = 4000) =>
      gatewayInputs({ session: sessionOf(spec, students), shards, desired: desiredOf(change), image });
    const one = inputsOf();
    for (const change of [{ connections: 1 }, { memoryBytes: 1 }, { cpu: 2 }, { replicas: 9 }])
      expect(inputsOf('', change)).toBe(one);
    expect(inputsOf('', {}, 'i', 9000)).toBe(one);
    const edits = [
      ...['access: {host: a.edu}', 'access: {origins: ["*"]}', 'auth: {issuer: x}', 'exam: other', 'rehearsal: true'],
      ...['gateway: {replicas: 3}', 'gateway: {studentsPerReplica: 100}', 'gateway: {resources: {cpu: "2"}}'],
    ];
    const all = [one, ...edits.map((spec) => inputsOf(spec)), inputsOf('', { mode: 'answer' }), inputsOf('', {}, 'j')];
    expect(new Set(all).size).toBe(all.length);
    const anew = shards.map((shard) => ({ ...shard, incarnation: 'anew' }));
    expect(gatewayInputs({ session: sessionOf(), shards: anew, desired: desiredOf(), image: 'i' })).not.toBe(one);
  });
});

describe('the number of gateways', () => {
  const rangeOf = (spec: string, change = {}) => replicaRange(desiredOf(change), sessionOf(spec).spec.gateway);

  test("is the plan's, or at least the plan's where it is scaled", () => {
    expect(rangeOf('')).toEqual({ min: 2, max: 2 });
    expect(rangeOf('gateway: {autoscale: true}')).toEqual({ min: 2, max: 4 });
    expect(rangeOf('gateway: {autoscale: true, maxReplicas: 9}')).toEqual({ min: 2, max: 9 });
    expect(rangeOf('gateway: {autoscale: true, maxReplicas: 9}', { replicas: 10 })).toEqual({ min: 10, max: 10 });
    expect(rangeOf('gateway: {autoscale: true}', { mode: 'answer', replicas: 1 })).toEqual({ min: 1, max: 1 });
  });

  test('is only set when it is outside of what it may be', () => {
    const count = fc.integer({ min: 0, max: 50 });
    fc.assert(
      fc.property(count, count, count, (current, a, b) => {
        const range = { min: Math.min(a, b), max: Math.max(a, b) };
        const set = replicasToSet(current, range);
        const result = set ?? current;
        expect(result).toBeGreaterThanOrEqual(range.min);
        expect(result).toBeLessThanOrEqual(range.max);
        expect(set === null).toBe(current >= range.min && current <= range.max);
        expect(replicasToSet(result, range)).toBeNull();
      }),
    );
  });

  test('goes down by one a minute at most', () => {
    const { spec } = autoscaler(part, { min: 2, max: 9 }) as unknown as { spec: { behavior: { scaleDown: unknown } } };
    expect(spec).toMatchObject({ minReplicas: 2, maxReplicas: 9 });
    const policies = [{ type: 'Pods', value: 1, periodSeconds: 60 }];
    expect(spec.behavior.scaleDown).toEqual({ stabilizationWindowSeconds: 600, selectPolicy: 'Max', policies });
  });
});

test('students find the session by its host, or within the cluster', () => {
  const at = (spec: string) => urlOf(ref, sessionOf(spec).spec.access, settings);
  expect(at('')).toBe('http://algebra-3f1d2c4b-gateway.exams.svc.cluster.local/exam');
  expect(at('access: {host: exam.example.edu}')).toBe('https://exam.example.edu/exam');
});

test('only gateways, exporters and the operator reach Redis, and Redis reaches nobody', () => {
  const { spec } = redisPolicy(part, settings) as unknown as {
    spec: { ingress: { from: object[] }[]; egress: object[] };
  };
  expect(spec.egress).toEqual([]);
  expect(spec.ingress).toHaveLength(1);
  expect(spec.ingress[0]!.from).toEqual([
    { podSelector: { matchLabels: selectorOf(ref, 'gateway') } },
    { podSelector: { matchLabels: selectorOf(ref, 'exporter') } },
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'untradex-system' } },
      podSelector: { matchLabels: { 'app.kubernetes.io/name': 'untradex-operator' } },
    },
  ]);
});
