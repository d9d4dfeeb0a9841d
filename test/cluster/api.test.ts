import { KubeConfig } from '@kubernetes/client-node';
import { beforeAll, expect, test } from 'vitest';
import { type Api, type ApiOptions, createApi, type KubeObject } from '#operator/kubernetes/runtime/api.ts';
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
