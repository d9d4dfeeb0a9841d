import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import type { KubeObject } from '#operator/kubernetes/runtime/object.ts';
import { createClusterSamples } from '#operator/kubernetes/samples.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';

const ackMs = { p50: 1, p99: 5, max: 8, count: 100 };
const health = { connections: 10, students: 9, durable: 1, pendingEvents: 2, ackMs };

interface Told {
  readonly ready?: boolean;
  readonly ending?: boolean;
}

/** A gateway's pod whose second port answers as it is told to; its port is its name. */
async function podWith(listener: RequestListener, { ready = true, ending = false }: Told = {}): Promise<KubeObject> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onScopeEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  await until(() => server.address(), { what: 'the health server' });
  const metadata = {
    name: `${(server.address() as AddressInfo).port}`,
    ...(ending && { deletionTimestamp: new Date().toISOString() }),
  };
  const status = { podIP: '127.0.0.1', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] };
  return { apiVersion: 'v1', kind: 'Pod', metadata, status };
}

const healthy: RequestListener = (_, reply) => void reply.end(JSON.stringify(health));

function samplesOf(pods: KubeObject[], times: object = {}) {
  const portOf = ({ metadata }: KubeObject) => Number(metadata.name);
  const samples = createClusterSamples({ cache: { pods: () => pods }, portOf, times: { everyMs: 0, ...times } });
  onScopeEnd(() => samples.stop());
  return samples;
}

test('adds up the ready gateways', async () => {
  const pods = [
    ...[await podWith(healthy), await podWith(healthy)],
    ...[await podWith(healthy, { ready: false }), await podWith(healthy, { ending: true })],
  ];
  expect(await samplesOf(pods).sample()).toEqual({
    ...{ connections: 20, students: 18, pendingEvents: 4 },
    ackMs: { ...ackMs, count: 200 },
  });
});

test('has none when there is no gateway, and none when none answers', async () => {
  expect(await samplesOf([]).sample()).toBeNull();
  const wrong = await Promise.all([
    podWith((_, reply) => void reply.end('not json')),
    podWith((_, reply) => void reply.end('{"connections": "many"}')),
    podWith((_, reply) => void reply.writeHead(500).end(JSON.stringify(health))),
    podWith((request) => request.socket.destroy()),
    podWith((_, reply) => void reply.end(' '.repeat(2_000_000) + JSON.stringify(health))),
  ]);
  expect(await samplesOf(wrong).sample()).toBeNull();
});

test('a pass does not wait for one that hangs, and the others are counted', async () => {
  const samples = samplesOf([await podWith(healthy), await podWith(() => {})], { waitMs: 20, answerMs: 200 });
  const before = performance.now();
  expect(await samples.sample()).toBeNull();
  expect(performance.now() - before).toBeLessThan(150);
  const sample = await until(() => samples.sample(), { what: 'the round to end' });
  expect(sample.connections).toBe(10);
});

test('asks few at once, and each at most once a round', async () => {
  let open = 0;
  let most = 0;
  let asked = 0;
  const slow: RequestListener = (_, reply) => {
    asked += 1;
    most = Math.max(most, ++open);
    setTimeout(() => {
      open -= 1;
      reply.end(JSON.stringify(health));
    }, 10);
  };
  const pods = await Promise.all(Array.from({ length: 9 }, () => podWith(slow)));
  const samples = samplesOf(pods, { most: 3, everyMs: 60_000, waitMs: 5_000 });
  const [sample] = await Promise.all([samples.sample(), samples.sample()]);
  expect({ connections: sample?.connections, most, asked }).toEqual({ connections: 90, most: 3, asked: 9 });
});

test('what was long ago tells nothing of this moment', async () => {
  const pods = [await podWith(healthy)];
  const samples = samplesOf(pods, { everyMs: 60_000, freshMs: 50 });
  expect(await samples.sample()).not.toBeNull();
  await until(async () => (await samples.sample()) === null, { what: 'the sample to be old' });
});
