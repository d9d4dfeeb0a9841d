import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import pino from 'pino';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { sessionOf } from '#crds/page.ts';
import { type AdminServer, startAdminServer } from '#operator/admin/server.ts';
import { finalizedBy } from '#operator/admin/sessions.ts';
import { examSessionCrd } from '#operator/crd.ts';
import { type Api, createApi } from '#operator/kubernetes/runtime/api.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { makeCertificate } from '#test/support/certificate.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';

/** Tokens of the test's API server are the users' names. */
const users = ['operator', 'reader', 'dean', 'maths', 'nobody'];
let cluster: TestApiServer;
let api: Api;
let admin: AdminServer;
let agent: Agent;
const lines: string[] = [];

const rules = (resource: string, verbs: string[]) => ({ apiGroups: ['untradex.io'], resources: [resource], verbs });
const roles: Record<string, object[]> = {
  reader: [rules('examsessions', ['get', 'list'])],
  dean: [rules('examsessions', ['get', 'list']), rules('examsessions/finalize', ['update'])],
  maths: [rules('examsessions', ['get', 'list']), rules('examsessions/finalize', ['update'])],
  operator: [
    rules('examsessions', ['get', 'list', 'patch', 'update']),
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ],
};

async function post(path: string, body: object): Promise<void> {
  const reply = await cluster.call('POST', path, { body });
  expect(reply.status, String(reply.body.message)).toBe(201);
}

beforeAll(async () => {
  cluster = await startApiServer({ users });
  await post('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', examSessionCrd());
  for (const name of ['maths', 'physics']) await post('/api/v1/namespaces', { metadata: { name } });
  for (const [name, granted] of Object.entries(roles)) await grant(name, granted);
  await until(async () => (await cluster.call('GET', '/apis/untradex.io/v1alpha1/examsessions')).status === 200, {
    what: 'the new resource',
  });
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfigOf('operator'));
  api = createApi(config, { userAgent: 'untradex-test' });
  onScopeEnd(() => api.close());
});

/** `maths` has its rights in the namespace of that name only, all others everywhere. */
async function grant(name: string, granted: object[]): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const scope = name === 'maths' ? `${rbac}/namespaces/maths` : rbac;
  const [role, binding] = name === 'maths' ? ['Role', 'RoleBinding'] : ['ClusterRole', 'ClusterRoleBinding'];
  await post(`${scope}/${role.toLowerCase()}s`, { metadata: { name }, rules: granted });
  await post(`${scope}/${binding.toLowerCase()}s`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: role, name },
    subjects: [{ kind: 'User', name }],
  });
}

beforeEach(async () => {
  for (const namespace of ['maths', 'physics']) {
    await cluster.call('DELETE', `/apis/untradex.io/v1alpha1/namespaces/${namespace}/examsessions`);
  }
  lines.length = 0;
  // A server for each test: how much may be asked at once is a matter of one server.
  const { caFile, ...tls } = makeCertificate('admin');
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  admin = await startAdminServer({ api, port: 0, tls, namespaces: [], log });
  agent = new Agent({ ca: readFileSync(caFile) });
  return async () => {
    agent.destroy();
    await admin.close();
  };
});

async function session(namespace: string, name: string): Promise<void> {
  const body = { ...sessionOf({ students: 100 }), metadata: { name, namespace } };
  await post(`/apis/untradex.io/v1alpha1/namespaces/${namespace}/examsessions`, body);
}

async function call(method: string, path: string, token?: string) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const asked = request({ host: '127.0.0.1', port: admin.port, servername: 'admin', method, path, headers, agent });
  asked.end();
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    asked.on('response', resolve).on('error', reject);
  });
  return { status: response.statusCode, body: JSON.parse(await text(response)) };
}

async function stored(namespace: string, name: string) {
  const path = `/apis/untradex.io/v1alpha1/namespaces/${namespace}/examsessions/${name}`;
  return (await cluster.call('GET', path)).body as { spec: { phase: string }; metadata: { annotations?: object } };
}

test('who has no token, or a wrong one, learns nothing', async () => {
  await session('maths', 'algebra');
  for (const token of [undefined, 'made-up', 'dean,admin']) {
    expect((await call('GET', '/api/sessions', token)).status).toBe(401);
    expect((await call('POST', '/api/sessions/maths/algebra/finalize', token)).status).toBe(401);
  }
  expect((await stored('maths', 'algebra')).spec.phase).toBe('Active');
});

test('everybody sees the sessions that the roles of the cluster show them', async () => {
  await session('maths', 'algebra');
  await session('physics', 'optics');
  const seen = async (user: string) =>
    ((await call('GET', '/api/sessions', user)).body.sessions as { name: string }[]).map(({ name }) => name).sort();
  expect(await seen('reader')).toEqual(['algebra', 'optics']);
  expect(await seen('maths')).toEqual(['algebra']);
  expect(await seen('nobody')).toEqual([]);
  expect(await call('GET', '/api/sessions/maths/algebra', 'reader')).toMatchObject({
    status: 200,
    body: { namespace: 'maths', name: 'algebra', wanted: 'Active' },
  });
  expect((await call('GET', '/api/sessions/physics/optics', 'maths')).status).toBe(403);
  // Nobody is told whether something exists that they may not see.
  expect((await call('GET', '/api/sessions/physics/none', 'maths')).status).toBe(403);
  expect((await call('GET', '/api/sessions/physics/none', 'reader')).status).toBe(404);
});

test('finalizing needs a right of its own, and may be repeated', async () => {
  await session('maths', 'algebra');
  const path = '/api/sessions/maths/algebra/finalize';
  const refused = await call('POST', path, 'reader');
  expect(refused).toMatchObject({ status: 403, body: { error: { code: 'forbidden' } } });
  expect(refused.body.error.remedy).toContain('examsessions/finalize');
  expect(await call('POST', path, 'maths')).toMatchObject({
    status: 202,
    body: { changed: true, wanted: 'Finalizing', name: 'algebra' },
  });
  const first = await stored('maths', 'algebra');
  expect(first.spec.phase).toBe('Finalizing');
  expect(await call('POST', path, 'dean')).toMatchObject({ status: 200, body: { changed: false } });
  const { metadata } = await stored('maths', 'algebra');
  expect(metadata.annotations).toMatchObject({ [finalizedBy]: expect.stringMatching(/^maths at 20/) });
});

test('every finalizing is in the log with who did it; no token is', async () => {
  await session('maths', 'algebra');
  await call('POST', '/api/sessions/maths/algebra/finalize', 'dean');
  await call('POST', '/api/sessions/maths/algebra/finalize', 'a-secret-that-is-wrong');
  const audits = lines.map((line) => JSON.parse(line)).filter(({ audit }) => audit === 'finalize');
  expect(audits).toMatchObject([{ user: 'dean', namespace: 'maths', name: 'algebra', changed: true }]);
  expect(lines.join('')).not.toContain('a-secret');
});

test('finalizarexamen ends the only session, and names them when there are several', async () => {
  expect((await call('POST', '/api/finalizarexamen', 'dean')).status).toBe(404);
  await session('maths', 'algebra');
  await session('physics', 'optics');
  expect(await call('POST', '/api/finalizarexamen', 'dean')).toMatchObject({
    status: 409,
    body: { error: { code: 'several_sessions', message: expect.stringContaining('maths/algebra, physics/optics') } },
  });
  // Whoever may finalize only one of them means that one.
  expect(await call('POST', '/api/finalizarexamen', 'maths')).toMatchObject({ status: 202, body: { name: 'algebra' } });
  expect(await call('POST', '/api/finalizarexamen', 'maths')).toMatchObject({ status: 200, body: { changed: false } });
  expect((await stored('physics', 'optics')).spec.phase).toBe('Active');
});

test('a session that is over does not stand in the way of the next one', async () => {
  await session('maths', 'algebra');
  const path = '/apis/untradex.io/v1alpha1/namespaces/maths/examsessions/algebra/status';
  const merge = 'application/merge-patch+json';
  const done = await cluster.call('PATCH', path, { body: { status: { phase: 'Completed' } }, contentType: merge });
  expect(done.status, JSON.stringify(done.body)).toBe(200);
  await session('maths', 'geometry');
  expect(await call('POST', '/api/finalizarexamen', 'dean')).toMatchObject({ status: 202, body: { name: 'geometry' } });
});

test('wrong paths and methods are told, and too many requests wait', async () => {
  expect((await call('GET', '/api/nothing', 'dean')).status).toBe(404);
  expect((await call('DELETE', '/api/sessions', 'dean')).status).toBe(405);
  expect((await call('GET', '/api/finalizarexamen', 'dean')).status).toBe(405);
  const statuses = await Promise.all(
    Array.from({ length: 40 }, async () => (await call('GET', '/api/x', 'dean')).status),
  );
  expect(statuses).toContain(429);
  expect(statuses).toContain(404);
});
