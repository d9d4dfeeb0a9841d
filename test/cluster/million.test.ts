import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiVersion, kind } from '#operator/examsession.ts';
import type { SessionStatus } from '#operator/status.ts';
import { startApiServer } from '#test/support/apiserver.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { installDefinition } from './controllerworld.ts';

// The largest session that there can be, on an API server alone: without nodes no shard is ever born.

const namespace = 'exams';

test('a session of a million students is planned, and all its shards are asked for', { timeout: 120_000 }, async () => {
  const server = await startApiServer();
  await installDefinition(server);
  await server.call('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });
  const config = join(tmpFolder('operator'), 'operator.yaml');
  const images = { untradex: 'untradex:test', redis: 'redis:test' };
  const common = { operator: { namespace }, leaderElection: { leaseSeconds: 3 }, ops: { port: 0 } };
  writeFileSync(config, JSON.stringify({ ...common, images, watchNamespaces: [namespace] }));
  const env = { KUBECONFIG: server.kubeconfig, POD_NAME: 'operator', POD_NAMESPACE: namespace };
  const operator = startProgram({ argv: [process.execPath, 'operator/main.ts', '--config', config], env });
  await operator.line(({ msg }) => msg === 'leads', 'its lead', 30_000);

  const madeAt = performance.now();
  const sessions = `/apis/${apiVersion}/namespaces/${namespace}/examsessions`;
  const spec = { students: 1_000_000, closesAt: '2099-01-01T02:00:00Z' };
  const made = await server.call('POST', sessions, { body: { apiVersion, kind, metadata: { name: 'nation' }, spec } });
  expect(made, String(made.body.message)).toMatchObject({ status: 201 });
  const statusOf = async () =>
    (await server.call('GET', `${sessions}/nation`)).body.status as SessionStatus | undefined;
  const { plan, phase } = await until(statusOf, { what: 'the plan', timeoutMs: 30_000 });
  const items = async (of: string) => {
    const list = await server.call('GET', `/apis/apps/v1/namespaces/${namespace}/${of}`);
    return list.body.items as { readonly spec: { readonly replicas: number } }[];
  };
  const sets = async () => ((await items('statefulsets')).length > 0 ? items('statefulsets') : null);
  const asked = await until(sets, { what: 'the shards', timeoutMs: 30_000 });
  const tookMs = Math.round(performance.now() - madeAt);
  console.log(`a million students, planned and asked for in ${tookMs} ms: ${JSON.stringify(plan)}`);

  expect(phase).toBe('Provisioning');
  expect(plan).toMatchObject({ shards: 100, replicas: 201 });
  expect(asked.map((set) => set.spec.replicas)).toEqual([100]);
  // No shard was born, so no gateway may take answers yet.
  expect(await items('deployments')).toEqual([]);
});
