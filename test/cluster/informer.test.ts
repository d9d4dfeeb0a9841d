import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { KubeConfig } from '@kubernetes/client-node';
import { describe, expect, test } from 'vitest';
import { type Api, createApi } from '#operator/kubernetes/runtime/api.ts';
import { createInformer, type Informer, type InformerOptions } from '#operator/kubernetes/runtime/informer.ts';
import { isProblem } from '#queue/problem.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startProxy, type TcpProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
const maps = '/api/v1/namespaces/default/configmaps';
const labelSelector = 'test=informer';

interface Rig {
  readonly cluster: TestApiServer;
  readonly proxy: TcpProxy;
  readonly api: Api;
}

/** An API whose connections go through a proxy. */
async function rig(cluster: TestApiServer): Promise<Rig> {
  const proxy = await startProxy({ port: Number(new URL(cluster.url).port) });
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const { name, caFile } = config.getCurrentCluster()!;
  const server = `https://127.0.0.1:${proxy.port}`;
  config.clusters = [{ name, caFile: caFile!, server, skipTLSVerify: false }];
  const api = createApi(config, { userAgent: 'untradex-test' });
  onScopeEnd(() => api.close());
  return { cluster, proxy, api };
}

/** An informer that keeps a journal of what it told. */
function follow(api: Api, options: Partial<InformerOptions> = {}) {
  const told: string[] = [];
  const errors: { what: string; code: string }[] = [];
  const restarts: string[] = [];
  const informer = createInformer({
    ...{ api, kind, namespace: 'default', labelSelector, pause: { first: 50, most: 200 } },
    onChange: ({ name }, object) => told.push(object === null ? `-${name}` : `+${name}`),
    onError: (error, what) => errors.push({ what, code: isProblem(error) ? error.code : String(error) }),
    metrics: { watchRestarted: (_, reason) => restarts.push(reason) },
    ...options,
  });
  informer.start();
  onScopeEnd(() => informer.stop());
  return { informer, told, errors, restarts };
}

async function put(cluster: TestApiServer, name: string, value: string, labels = { test: 'informer' }): Promise<void> {
  const path = `${maps}/${name}?fieldManager=test&force=true`;
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels }, data: { value } };
  const reply = await cluster.call('PATCH', path, { body, contentType: 'application/apply-patch+yaml' });
  expect(reply.status, JSON.stringify(reply.body)).toBeLessThan(300);
}

const remove = (cluster: TestApiServer, name: string) => cluster.call('DELETE', `${maps}/${name}`);

function valueIn(informer: Informer, name: string): string | undefined {
  return (informer.get('default', name)?.data as { value: string } | undefined)?.value;
}

const eventually = (what: string, condition: () => boolean) => until(condition, { what, timeoutMs: 20_000 });

describe('an informer', async () => {
  const cluster = await startApiServer();

  test('follows what is made, changed and removed, and nothing with other labels', async () => {
    const { api } = await rig(cluster);
    await put(cluster, 'early', '1');
    await put(cluster, 'foreign', '1', { test: 'other' });
    const { informer, told, errors } = follow(api);
    await informer.synced;
    expect(valueIn(informer, 'early')).toBe('1');
    expect(informer.get('default', 'early')!.metadata.managedFields).toBeUndefined();
    await put(cluster, 'early', '2');
    await put(cluster, 'late', '1');
    await eventually('both', () => valueIn(informer, 'early') === '2' && valueIn(informer, 'late') === '1');
    await remove(cluster, 'early');
    await put(cluster, 'late', '1', { test: 'other' });
    await eventually('an empty cache', () => informer.size === 0);
    expect(told).toEqual(['+early', '+early', '+late', '-early', '-late']);
    expect(errors).toEqual([]);
  });

  test('goes on from where it was when its watch is cut, and lists nothing again', async () => {
    const { api, proxy } = await rig(cluster);
    await put(cluster, 'cut', '1');
    const { informer, told, errors } = follow(api);
    await informer.synced;
    for (let i = 2; i <= 6; i++) {
      await eventually(`a watch for ${i}`, () => proxy.open > 0 && informer.failingMs === 0);
      if (i % 2 === 0) proxy.cutAll();
      // In the middle of the next event.
      else proxy.cutAfter('down', 300);
      await put(cluster, 'cut', String(i));
      await eventually(`value ${i}`, () => valueIn(informer, 'cut') === String(i));
    }
    expect(told).toEqual(Array.from({ length: 6 }, () => '+cut'));
    expect(errors.length).toBeGreaterThanOrEqual(3);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['api_unreachable']));
    await remove(cluster, 'cut');
  });

  test('notices a connection that is dead without a word', async () => {
    const { api, proxy } = await rig(cluster);
    const { informer, restarts } = follow(api, { silenceMs: 1_000 });
    await informer.synced;
    await put(cluster, 'silent', '1');
    await eventually('a watch that works', () => valueIn(informer, 'silent') === '1');
    proxy.pause();
    await put(cluster, 'silent', '2');
    await eventually('the end of patience', () => restarts.includes('api_timeout'));
    proxy.resume();
    await eventually('the change', () => valueIn(informer, 'silent') === '2');
    await remove(cluster, 'silent');
  });

  test('waits longer and longer while there is no API server', async () => {
    const { api, proxy } = await rig(cluster);
    const { informer, errors } = follow(api, { pause: { first: 50, most: 1_000 } });
    await informer.synced;
    proxy.refuse();
    proxy.cutAll();
    await eventually('some failures', () => errors.length >= 5);
    const from = errors.length;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(errors.length - from).toBeLessThanOrEqual(5);
    expect(informer.failingMs).toBeGreaterThan(2_000);
    proxy.allow();
    await eventually('a watch again', () => informer.failingMs === 0);
  });

  test('tells what its handler and its transform throw, and goes on', async () => {
    const { api } = await rig(cluster);
    const seen: string[] = [];
    const { informer, errors } = follow(api, {
      transform: (object) => {
        if (object.metadata.name === 'wrong') throw new Error('cannot transform');
        return { ...object, data: undefined };
      },
      onChange: ({ name }) => {
        seen.push(name);
        if (name === 'bad') throw new Error('cannot handle');
        if (name === 'async') return Promise.reject(new Error('cannot handle later')) as never;
      },
    });
    await informer.synced;
    for (const name of ['bad', 'async', 'wrong', 'good']) await put(cluster, name, '1');
    await eventually('all', () => seen.includes('good'));
    expect(errors).toEqual([
      { what: 'onChange', code: 'Error: cannot handle' },
      { what: 'onChange', code: 'Error: cannot handle later' },
      { what: 'transform', code: 'Error: cannot transform' },
    ]);
    expect(informer.size).toBe(4);
    expect(informer.get('default', 'good')!.data).toBeUndefined();
    await Promise.all(['bad', 'async', 'wrong', 'good'].map((name) => remove(cluster, name)));
  });

  test('keeps one watch through stops and starts, and compares what it knew with what is', async () => {
    const { api, proxy } = await rig(cluster);
    await put(cluster, 'kept', '1');
    await put(cluster, 'gone', '1');
    const { informer, told } = follow(api);
    await informer.synced;
    for (let i = 0; i < 10; i++) {
      const stopped = informer.stop();
      if (i % 2 === 0) await stopped;
      if (i === 4) await remove(cluster, 'gone');
      informer.start();
    }
    await eventually('the loss', () => told.includes('-gone'));
    await put(cluster, 'kept', '2');
    await eventually('the change', () => valueIn(informer, 'kept') === '2');
    expect(told.toSorted()).toEqual(['+gone', '+kept', '+kept', '-gone']);
    await informer.stop();
    const open = () => proxy.open;
    await eventually('no watch', () => open() <= 1);
    await put(cluster, 'kept', '3');
    expect(told).toHaveLength(4);
    await remove(cluster, 'kept');
  });

  test('tells of every object again in each round, spread out', async () => {
    const { api } = await rig(cluster);
    for (let i = 0; i < 10; i++) await put(cluster, `again-${i}`, '1');
    const { informer, told } = follow(api, { resyncMs: 1_000 });
    await informer.synced;
    await eventually('three rounds', () => told.length >= 40);
    for (let i = 0; i < 10; i++) {
      const count = told.filter((text) => text === `+again-${i}`).length;
      expect(count).toBeGreaterThanOrEqual(3);
      expect(count).toBeLessThanOrEqual(5);
    }
    await Promise.all(Array.from({ length: 10 }, (_, i) => remove(cluster, `again-${i}`)));
  });
});

/** Nothing is heard meanwhile; then the server no longer knows what happened. */
async function missChanges({ cluster, proxy }: Rig, forget: () => Promise<void>): Promise<void> {
  proxy.refuse();
  proxy.cutAll();
  await put(cluster, 'changed', '2');
  await remove(cluster, 'gone');
  await put(cluster, 'new', '1');
  await forget();
  proxy.allow();
}

const forgetting = [
  { how: 'the API server is killed and started again', extraArgs: [], forget: (it: TestApiServer) => it.restart() },
  { how: 'etcd compacts', extraArgs: ['--watch-cache=false'], forget: (it: TestApiServer) => it.compact() },
];

test.each(forgetting)('lists again when its history is gone: $how', async ({ extraArgs, forget }) => {
  const it = await rig(await startApiServer({ extraArgs }));
  for (const name of ['same', 'changed', 'gone']) await put(it.cluster, name, '1');
  const { informer, told, restarts } = follow(it.api);
  await informer.synced;
  told.length = 0;
  await missChanges(it, () => forget(it.cluster));
  await eventually('the end', () => told.length === 3);
  expect(told.toSorted()).toEqual(['+changed', '+new', '-gone']);
  expect(restarts).toContain('api_gone');
  await put(it.cluster, 'same', '2');
  await eventually('a watch that goes on', () => told.includes('+same'));
});

test('lists again when the history went back, as after a restored backup', async () => {
  const it = await rig(await startApiServer());
  await put(it.cluster, 'map', '1');
  let lists = 0;
  const api: Pick<Api, 'pages' | 'watch'> = {
    watch: it.api.watch,
    /** Its first list claims to be from the future. */
    async *pages(query, options) {
      for await (const page of it.api.pages(query, options)) {
        lists += 1;
        yield { ...page, ...(lists === 1 && { resourceVersion: '999999999' }) };
      }
    },
  };
  const { informer, told, restarts } = follow(it.api, { api, silenceMs: 1_000 });
  await informer.synced;
  // Its version is the same, but may mean something else now.
  await eventually('it to notice', () => told.length === 2);
  expect(restarts).toContain('api_gone');
  await put(it.cluster, 'map', '2');
  await eventually('a watch that works', () => valueIn(informer, 'map') === '2');
  expect(told).toEqual(['+map', '+map', '+map']);
});

test('of 2,000 objects it keeps only its own, and of them only what is needed', async () => {
  const { cluster, api } = await rig(await startApiServer());
  const bulk = 'x'.repeat(20_000);
  const make = async (i: number) => {
    const labels = i % 20 === 0 ? { test: 'informer', of: `session-${i % 200}` } : { test: 'other' };
    const metadata = { name: `map-${i}`, labels };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { value: String(i), bulk } };
    expect((await cluster.call('POST', maps, { body })).status).toBe(201);
  };
  for (let i = 0; i < 2_000; i += 40) await Promise.all(Array.from({ length: 40 }, (_, j) => make(i + j)));
  const before = heapUsed();
  const transform: InformerOptions['transform'] = ({ data, ...object }) => {
    return { ...object, data: { value: (data as { value: string }).value } };
  };
  const { informer } = follow(api, { indexLabel: 'of', transform });
  await informer.synced;
  expect(informer.size).toBe(100);
  expect(informer.byLabel('session-0')).toHaveLength(10);
  // All of them would be 40 MiB, the labelled ones 2 MiB.
  expect(heapUsed() - before).toBeLessThan(1_048_576);
});

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}
