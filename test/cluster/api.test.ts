import { KubeConfig } from '@kubernetes/client-node';
import { beforeAll, expect, test } from 'vitest';
import { type Api, type ApiOptions, createApi, type KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { problem } from '#queue/problem.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';

let cluster: TestApiServer;
let api: Api;

beforeAll(async () => {
  cluster = await startApiServer({ users: ['teacher'] });
  api = apiOf(cluster.kubeconfig);
});

function apiOf(kubeconfig: string, options: Partial<ApiOptions> = {}): Api {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const made = createApi(config, { userAgent: 'untradex-test', ...options });
  onScopeEnd(() => made.close());
  return made;
}

function configMap(name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

const refOf = ({ apiVersion, kind, metadata: { name, namespace } }: KubeObject) => ({
  ...{ apiVersion, kind, name, namespace: namespace! },
});

test('an object is created, read, replaced, patched, applied and removed', async () => {
  const map = configMap('whole-life', { a: '1' });
  const created = await api.create(map);
  expect(created.metadata.uid).toBeTypeOf('string');
  await expect(api.create(map)).rejects.toMatchObject({ code: 'api_exists' });
  expect(await api.get(refOf(map))).toEqual(created);

  const updated = await api.update({ ...created, data: { a: '2' } });
  await expect(api.update({ ...created, data: { a: '3' } })).rejects.toMatchObject({
    code: 'api_conflict',
    message: expect.stringMatching(/^cannot update configmaps default\/whole-life: /),
  });
  const stale = api.remove(refOf(map), { resourceVersion: created.metadata.resourceVersion! });
  await expect(stale).rejects.toMatchObject({ code: 'api_conflict' });

  expect(await api.patch(refOf(map), { data: { b: '1' } }, { type: 'merge' })).toMatchObject({
    data: { a: '2', b: '1' },
  });
  const applied = await api.apply(configMap('whole-life', { a: '4', c: '1' }), { manager: 'tests' });
  expect(applied.data).toEqual({ a: '4', b: '1', c: '1' });
  expect((await api.apply(configMap('whole-life', { a: '4' }), { manager: 'tests' })).data).toEqual({ a: '4', b: '1' });
  const shared = api.apply(configMap('whole-life', { a: '5' }), { manager: 'others', force: false });
  await expect(shared).rejects.toMatchObject({ code: 'api_conflict' });

  expect(await api.remove(refOf(map), { uid: updated.metadata.uid! })).toBe(true);
  expect(await api.get(refOf(map))).toBeNull();
  expect(await api.remove(refOf(map))).toBe(false);
});

test('the status is written beside the rest, also when there is none yet', async () => {
  const claim = {
    ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'status', namespace: 'default' } },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  await api.create(claim);
  const { spec: _, ...bare } = claim;
  const capacity = { storage: '1Gi' };
  const applied = await api.apply({ ...bare, status: { capacity } }, { manager: 'tests', subresource: 'status' });
  expect(applied).toMatchObject({ spec: claim.spec, status: { capacity } });
  const phase = { status: { phase: 'Bound' } };
  const patched = await api.patch(refOf(claim), phase, { type: 'merge', subresource: 'status', manager: 'tests' });
  expect(patched).toMatchObject({ status: { capacity, phase: 'Bound' } });
});

test('long lists come in pages, and begin again when their rest is no longer known', async () => {
  const uncached = await startApiServer({ extraArgs: ['--watch-cache=false'] });
  const paged = apiOf(uncached.kubeconfig);
  for (let i = 0; i < 7; i++) await paged.create(configMap(`page-${i}`));
  const query = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default' };
  const sizes: number[] = [];
  for await (const { items } of paged.pages(query, { limit: 3 })) sizes.push(items.length);
  expect(sizes).toEqual([3, 3, 1]);
  const { items, resourceVersion } = await paged.list(query, { limit: 3 });
  expect(items.map(({ apiVersion, kind, metadata }) => `${apiVersion} ${kind} ${metadata.name}`)).toContain(
    'v1 ConfigMap page-6',
  );
  expect(resourceVersion).toMatch(/^\d+$/);

  const pages = paged.pages(query, { limit: 3 });
  await pages.next();
  await paged.create(configMap('page-7'));
  await uncached.compact();
  await expect(pages.next()).rejects.toMatchObject({ code: 'api_gone' });
  const old = paged.watch(query, { resourceVersion: '1', signal: AbortSignal.timeout(5_000) }, () => {});
  await expect(old).rejects.toMatchObject({ code: 'api_gone' });
});

test('what a user may not do is refused with the rule that is missing', async () => {
  const teacher = apiOf(cluster.kubeconfigOf('teacher'));
  const secrets = { apiVersion: 'v1', kind: 'Secret', namespace: 'default' };
  await expect(teacher.list(secrets)).rejects.toMatchObject({
    code: 'api_forbidden',
    message: expect.stringMatching(/^cannot list secrets default: /),
    remedy: expect.stringContaining('{apiGroups: [""], resources: ["secrets"], verbs: ["list"]}'),
  });
  const session = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x', namespace: 'default' } };
  const status = teacher.apply({ ...session, status: {} }, { manager: 'tests', subresource: 'status' });
  await expect(status).rejects.toMatchObject({
    code: 'api_forbidden',
    message: expect.stringMatching(/^cannot patch deployments\.apps\/status default\/x: /),
    remedy: expect.stringContaining('{apiGroups: ["apps"], resources: ["deployments/status"], verbs: ["patch"]}'),
  });
  const watch = teacher.watch(secrets, { resourceVersion: '0', signal: AbortSignal.timeout(5_000) }, () => {});
  await expect(watch).rejects.toMatchObject({ code: 'api_forbidden' });
});

test('nothing can be made in a namespace that is going', async () => {
  const namespace = 'going';
  await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await api.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace });
  const map = api.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late', namespace } });
  await expect(map).rejects.toMatchObject({ code: 'api_terminating' });
});

test('wrong objects are named, and what a Secret holds is not', async () => {
  const wrong = api.create({ ...configMap('Wrong_Name') });
  await expect(wrong).rejects.toMatchObject({ code: 'api_invalid', message: expect.stringContaining('metadata.name') });
  const metadata = { name: 'keys', namespace: 'default', labels: { key: 'hunter2!' } };
  const leaking = api.create({ apiVersion: 'v1', kind: 'Secret', metadata, data: {} });
  const error = await leaking.catch((it: unknown) => it as Error & { code: string });
  expect(error).toMatchObject({ code: 'api_invalid', message: expect.stringContaining('metadata.labels') });
  expect(String(error)).not.toContain('hunter2');
  await expect(api.create({ ...configMap('unknown-kind'), kind: 'Cat' })).rejects.toMatchObject({
    code: 'api_kind_unknown',
  });
});

test('fields that the cluster does not know are warned of, or refused when strict', async () => {
  const warnings: string[] = [];
  const lenient = apiOf(cluster.kubeconfig, { onWarning: (warning) => warnings.push(warning) });
  const typo = { ...configMap('typo'), daat: { a: '1' } };
  await lenient.create(typo);
  expect(warnings).toEqual(['unknown field "daat"']);
  const strict = apiOf(cluster.kubeconfig, { strict: true });
  await expect(strict.create({ ...typo, metadata: { ...typo.metadata, name: 'typo-2' } })).rejects.toMatchObject({
    code: 'api_invalid',
    message: expect.stringContaining('daat'),
  });
});

test('a watch tells events, ends with its signal, and passes on what its listener throws', async () => {
  const query = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', fieldSelector: 'metadata.name=watched' };
  const { resourceVersion } = await api.list(query);
  const stop = new AbortController();
  const told: string[] = [];
  const watching = api.watch(query, { resourceVersion, signal: stop.signal }, ({ type, object }) => {
    told.push(`${type} ${object.metadata.name}`);
    if (type === 'DELETED') stop.abort();
  });
  const map = configMap('watched');
  await api.create(map);
  await api.create(configMap('not-watched'));
  await api.patch(refOf(map), { data: { a: '1' } }, { type: 'merge' });
  await api.remove(refOf(map));
  await watching;
  expect(told).toEqual(['ADDED watched', 'MODIFIED watched', 'DELETED watched']);
  const ended = api.watch(query, { resourceVersion, timeoutSeconds: 1, signal: AbortSignal.timeout(9_000) }, () => {});
  await expect(ended).resolves.toBeUndefined();
  const throwing = api.watch(query, { resourceVersion, signal: AbortSignal.timeout(9_000) }, () => {
    throw Object.assign(new Error('of the listener'), { code: 'ECONNRESET' });
  });
  await expect(throwing).rejects.toThrow(/^of the listener$/);
});

test('access is asked for by raw requests, which no fence stops', async () => {
  const fenced = apiOf(cluster.kubeconfig, { fence: refuse });
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: { user: 'teacher', resourceAttributes: { verb: 'list', resource: 'pods' } },
  };
  const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
  expect(await fenced.raw('POST', path, review)).toMatchObject({ status: { allowed: false } });
  expect(await fenced.raw('GET', '/healthz')).toBe('ok');
  await expect(fenced.raw('DELETE', '/api/v1/namespaces/default/configmaps/x')).rejects.toMatchObject({
    code: 'not_leader',
  });
});

function refuse(): never {
  throw problem('not_leader', 'fenced', 'Nothing.');
}

test('a fence stops every kind of write, and no reading', async () => {
  const map = await api.create(configMap('fenced'));
  const fenced = apiOf(cluster.kubeconfig, { fence: refuse });
  expect(await fenced.get(refOf(map))).toMatchObject({ metadata: { name: 'fenced' } });
  for (const write of [
    () => fenced.create(configMap('fenced-2')),
    () => fenced.apply(configMap('fenced'), { manager: 'tests' }),
    () => fenced.update(map),
    () => fenced.patch(refOf(map), {}, { type: 'merge' }),
    () => fenced.remove(refOf(map)),
  ]) {
    await expect(write()).rejects.toMatchObject({ code: 'not_leader' });
  }
  expect(await api.get(refOf(map))).toEqual(map);
  expect(await api.get({ ...refOf(map), name: 'fenced-2' })).toBeNull();
});
