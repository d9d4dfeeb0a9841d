import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startSamples } from '#operator/local/samples.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

/** A health that answers as it is told to; gives its port. */
async function health(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onScopeEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  await until(() => server.address(), { what: 'the health server' });
  return (server.address() as AddressInfo).port;
}

const healthy = (of: object) => health((_, reply) => void reply.end(JSON.stringify(of)));
const one = {
  connections: 10,
  students: 9,
  durable: 1,
  pendingEvents: 2,
  ackMs: { p50: 1, p99: 5, max: 8, count: 100 },
};
const other = {
  connections: 20,
  students: 20,
  durable: 1,
  pendingEvents: 0,
  ackMs: { p50: 4, p99: 4, max: 9, count: 300 },
};

function sample(ports: number[], times: object, file = join(tmpFolder('samples'), 'samples.ndjson')) {
  const killed: number[] = [];
  const ready = ports.map((opsPort, index) => ({ pid: index + 1, opsPort }));
  const gateways = { ready, kill: (pid: number) => void killed.push(pid) };
  const samples = startSamples({ file, gateways, times: { everyMs: 5, ...times } });
  onScopeEnd(() => samples.stop());
  return { samples, killed, file };
}

test('adds up the gateways that answer, and keeps the history', async () => {
  const { samples, file } = sample([await healthy(one), await healthy(other)], {});
  const latest = await until(() => samples.latest, { what: 'a sample' });
  const sum = { connections: 30, students: 29, pendingEvents: 2, ackMs: { p50: 3.25, p99: 5, max: 9, count: 400 } };
  expect(latest).toEqual(sum);
  const line = await until(() => readFileSync(file, 'utf8').split('\n')[0], { what: 'a line' });
  expect(JSON.parse(line)).toMatchObject({ ...sum, gateways: 2, at: expect.stringMatching(/^\d{4}-/) });
});

test('does without one that does not answer, and ends it when it stays so', async () => {
  const silent = await health(() => {});
  const broken = await health((_, reply) => void reply.end('not json'));
  const { samples, killed } = sample([await healthy(one), silent, broken], { answerMs: 20, hungMs: 100 });
  await until(() => samples.latest?.students === 9, { what: 'a sample' });
  await until(() => killed.includes(2) && killed.includes(3), { what: 'the others to be killed' });
  expect(killed).not.toContain(1);
});

test('keeps the history bounded: old times get coarser', async () => {
  const file = join(tmpFolder('samples'), 'samples.ndjson');
  writeFileSync(file, Array.from({ length: 100 }, (_, i) => `{"old":${i}}\n`).join(''));
  const { samples } = sample([await healthy(one)], { mostLines: 100 }, file);
  await until(() => readFileSync(file, 'utf8').includes('"connections":10'), { what: 'a line' });
  await samples.stop();
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  expect(lines.length).toBeLessThan(100);
  expect(lines.slice(0, 3)).toEqual(['{"old":1}', '{"old":3}', '{"old":5}']);
});
