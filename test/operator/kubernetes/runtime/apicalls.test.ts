import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { problem } from '#queue/problem.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { freePort } from '#test/support/freeport.ts';
import { until } from '#test/support/until.ts';
import { apiAt, reply, stubServer } from './stubserver.ts';

const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'exams', name: 'map' };
const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'map', namespace: 'exams' } };

test('what the server puts off is sent again when it says, and the caller hears of nothing', async () => {
  const at: number[] = [];
  const requests: string[] = [];
  const { api } = await stubServer(
    (_, response) => {
      at.push(performance.now());
      if (at.length === 1) reply(response, 429, {}, { 'Retry-After': '1' });
      else reply(response, 201, map);
    },
    { onRequest: ({ verb, code }) => requests.push(`${verb} ${code}`) },
  );
  expect(await api.create(map)).toEqual(map);
  expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(990);
  expect(requests).toEqual(['create 429', 'create 201']);
});

test('a server that puts off for longer than the time limit is not waited for', async () => {
  const options = { timeoutMs: 500 };
  const { api } = await stubServer((_, response) => reply(response, 429, {}, { 'Retry-After': '30' }), options);
  const startedAt = performance.now();
  await expect(api.get(ref)).rejects.toMatchObject({ code: 'api_throttled' });
  expect(performance.now() - startedAt).toBeLessThan(400);
});

test('a silent server is given up in time, before and within its reply', async () => {
  const silent = await stubServer(() => {}, { timeoutMs: 100 });
  await expect(silent.api.get(ref)).rejects.toMatchObject({ code: 'api_timeout' });
  const halting = await stubServer((_, response) => response.writeHead(200).write('{"a'), { timeoutMs: 100 });
  await expect(halting.api.get(ref)).rejects.toMatchObject({ code: 'api_timeout' });
});

test('a server that is not there is unreachable, and the message says who', async () => {
  const port = await freePort();
  const error = await apiAt(port)
    .get(ref)
    .catch((it: Error) => it);
  expect(error).toMatchObject({ code: 'api_unreachable', message: expect.stringContaining(`127.0.0.1:${port}`) });
  expect(String(error)).not.toContain('a-secret-token');
});

test.each([
  { status: 500, body: { message: 'failed calling webhook' }, code: 'api_failed' },
  { status: 503, body: {}, code: 'api_failed' },
  { status: 504, body: { reason: 'Timeout' }, code: 'api_timeout' },
  { status: 401, body: { reason: 'Unauthorized' }, code: 'api_unauthorized' },
  { status: 409, body: { reason: 'AlreadyExists' }, code: 'api_exists' },
  { status: 409, body: { reason: 'Conflict' }, code: 'api_conflict' },
  { status: 410, body: { reason: 'Expired' }, code: 'api_gone' },
  { status: 403, body: { message: 'exceeded quota: pods' }, code: 'api_forbidden' },
])('status $status ($body.reason) becomes $code', async ({ status, body, code }) => {
  const { api } = await stubServer((_, response) => reply(response, status, body));
  await expect(api.get(ref)).rejects.toMatchObject({ code });
});

test('connections are used again, and one that was closed meanwhile is no failure of a read', async () => {
  const ports = new Set<number | undefined>();
  let requests = 0;
  const { api } = await stubServer((request, response) => {
    ports.add(request.socket.remotePort);
    requests += 1;
    // The server closes it while it is being used again.
    if (requests === 5) request.socket.destroy();
    else reply(response, 200, map);
  });
  for (let i = 0; i < 6; i++) expect(await api.get(ref)).toEqual(map);
  expect(ports.size).toBe(2);
  expect(requests).toBe(7);
});

test('the fence is asked when the connection stands, and not when the call begins', async () => {
  let bytes = 0;
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
  });
  const port = await freePort();
  server.listen(port, '127.0.0.1');
  onScopeEnd(() => void server.close());
  await once(server, 'listening');
  let mayWrite = true;
  const fence = () => {
    if (!mayWrite) throw problem('not_leader', 'fenced', 'Nothing.');
  };
  const creating = apiAt(port, { fence }).create(map);
  mayWrite = false;
  await expect(creating).rejects.toMatchObject({ code: 'not_leader' });
  expect(bytes).toBe(0);
});

test('asks no faster than it allows itself, and refuses what would wait too long', async () => {
  let served = 0;
  const { api } = await stubServer(
    (_, response) => {
      served += 1;
      reply(response, 200, map);
    },
    { rate: { perSecond: 50, burst: 5 }, timeoutMs: 400 },
  );
  const outcomes = await Promise.allSettled(Array.from({ length: 60 }, () => api.get(ref)));
  const good = outcomes.filter(({ status }) => status === 'fulfilled').length;
  // On a busy machine a reply may come after the time limit; nothing was sent too fast for that.
  expect(good).toBeLessThanOrEqual(served);
  expect(good).toBeGreaterThanOrEqual(5);
  expect(served).toBeLessThanOrEqual(5 + 50 * 0.4 + 2);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') expect(outcome.reason.code).toBeOneOf(['api_throttled', 'api_timeout']);
  }
});

test('closing ends what is under way', async () => {
  let asked = false;
  const { api } = await stubServer(() => {
    asked = true;
  });
  const pending = api.get(ref);
  await until(() => asked, { what: 'the request' });
  api.close();
  await expect(pending).rejects.toMatchObject({ code: 'api_unreachable' });
});
