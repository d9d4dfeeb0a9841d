import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createOperatorMetrics, type MetricSources } from '#operator/kubernetes/runtime/metrics.ts';
import { startOpsServer, type Verdict } from '#operator/kubernetes/runtime/ops.ts';
import { createLoop } from '#operator/loop.ts';
import { problem } from '#queue/problem.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';

const nothing: MetricSources = {
  queue: () => ({ depth: 0, running: 0 }),
  isLeader: () => false,
  phases: () => ({}),
  stuck: () => 0,
  caches: () => [],
};

async function served(sources: MetricSources = nothing) {
  const metrics = createOperatorMetrics(sources);
  const verdicts: { live: Verdict; ready: Verdict } = {
    live: { ok: true },
    ready: { ok: false, reason: 'not synced' },
  };
  const server = await startOpsServer({ port: 0, live: () => verdicts.live, ready: () => verdicts.ready, metrics });
  onScopeEnd(() => server.close());
  const get = async (path: string, method = 'GET') => {
    const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return { status: reply.status, text: await reply.text() };
  };
  return { metrics, verdicts, get };
}

test('tells whether it lives and is ready, and why not', async () => {
  const { get, verdicts } = await served();
  expect(await get('/livez')).toEqual({ status: 200, text: 'ok\n' });
  expect(await get('/readyz')).toEqual({ status: 503, text: 'not synced\n' });
  verdicts.ready = { ok: true };
  expect(await get('/readyz?verbose')).toEqual({ status: 200, text: 'ok\n' });
  expect(await get('/readyz', 'HEAD')).toEqual({ status: 200, text: '' });
  expect((await get('/readyz', 'POST')).status).toBe(405);
  expect((await get('/')).status).toBe(404);
});

test('counts passes by how they end, errors by code, requests, watches, and reads the rest when asked', async () => {
  const loopHolder: { loop?: ReturnType<typeof createLoop> } = {};
  const caches = [
    { kind: 'Pod', size: 3, failingMs: 0 },
    { kind: 'Pod', size: 4, failingMs: 1_500 },
  ];
  const { get, metrics } = await served({
    queue: () => loopHolder.loop ?? nothing.queue(),
    isLeader: () => true,
    phases: () => ({ Active: 2, Verified: 1 }),
    stuck: () => 1,
    caches: () => caches,
  });
  const ended: string[] = [];
  const pass = metrics.measured(async (key) => {
    ended.push(key);
    if (key === 'bad') throw problem('api_conflict', 'changed', 'Read again.');
    return { requeueAfterMs: key === 'again' ? 60_000 : null };
  });
  const loop = createLoop({ pass, onError: () => {}, workers: 1, backoffMs: 60_000 });
  loopHolder.loop = loop;
  onScopeEnd(() => loop.stop());
  for (const key of ['good', 'bad', 'again']) loop.enqueue(key);
  expect({ depth: loop.depth, running: loop.running }).toEqual({ depth: 2, running: 1 });
  await until(() => ended.length === 3 && loop.running === 0, { what: 'all passes' });
  metrics.apiRequest({ verb: 'patch', code: '200', ms: 12 });
  metrics.watchRestarted('Pod', 'api_gone');

  const { text } = await get('/metrics');
  const lines = text.split('\n').filter((line) => line.startsWith('untradex_operator_'));
  for (const line of [
    'reconciles_total{result="done"} 1',
    'reconciles_total{result="requeued"} 1',
    'reconciles_total{result="failed"} 1',
    'reconcile_errors_total{code="api_conflict"} 1',
    'reconcile_seconds_count 3',
    'api_request_seconds_count{verb="patch",code="200"} 1',
    'watch_restarts_total{kind="Pod",reason="api_gone"} 1',
    'leader 1',
    'queue_depth 0',
    'sessions{phase="Active"} 2',
    'stuck_sessions 1',
    'cached_objects{kind="Pod"} 7',
    'cache_failing_seconds{kind="Pod"} 1.5',
  ]) {
    expect(lines).toContain(`untradex_operator_${line}`);
  }
});

test('says so when its port is taken', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onScopeEnd(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const parts = { port, host: '127.0.0.1', live: () => ({ ok: true }), ready: () => ({ ok: true }) };
  const started = startOpsServer({ ...parts, metrics: createOperatorMetrics(nothing) });
  await expect(started).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
