import { beforeAll, expect, test } from 'vitest';
import { sessionOf } from '#crds/page.ts';
import { examSessionCrd } from '#operator/crd.ts';
import { apiVersion, kind } from '#operator/examsession.ts';
import { planSession } from '#operator/plan.ts';
import type { Observed } from '#operator/platform.ts';
import { defaultSettings as settings } from '#operator/settings.ts';
import { type SessionStatus, statusOf } from '#operator/status.ts';
import { readStatus, storedStatus } from '#operator/statusschema.ts';
import { attemptOf, now, observedOf, queueOf, sealedStatus, statusOfPast, succeeded } from '#test/operator/facts.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';

const sessions = '/apis/untradex.io/v1alpha1/namespaces/default/examsessions';
let cluster: TestApiServer;

beforeAll(async () => {
  cluster = await startApiServer();
  await cluster.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: examSessionCrd() });
  await until(async () => (await cluster.call('GET', sessions)).status === 200, { what: 'the new resource' });
});

function made(observed: Observed): SessionStatus {
  const queue = queueOf();
  const facts = { observed, queue, desired: planSession(observed, queue, now, settings), now, settings };
  const ackMs = { p50: 1.5, p99: 8.25, max: 31, count: 4000 };
  return statusOf(facts, { connections: 4000, students: 3999, pendingEvents: 3, ackMs }, { seal: null });
}

const statuses: readonly { what: string; status: SessionStatus }[] = [
  { what: 'that knows next to nothing', status: statusOfPast() },
  { what: 'of an exam that goes on', status: made(observedOf()) },
  { what: 'while exporting', status: made(observedOf({ status: sealedStatus(), attempt: attemptOf() })) },
  { what: 'of a verified session', status: made(observedOf({ status: sealedStatus(), attempt: succeeded() })) },
];

/** Server-side apply, as the operator writes. */
async function write(name: string, status: object): Promise<void> {
  const reply = await cluster.call('PATCH', `${sessions}/${name}/status?fieldManager=untradex&fieldValidation=Strict`, {
    body: { apiVersion, kind, metadata: { name }, status },
    contentType: 'application/apply-patch+yaml',
  });
  expect(reply.status, String(reply.body.message)).toBe(200);
}

async function read(name: string): Promise<SessionStatus | null> {
  return readStatus((await cluster.call('GET', `${sessions}/${name}`)).body.status);
}

async function create(name: string): Promise<void> {
  const body = { ...sessionOf({ students: 4000 }), metadata: { name } };
  expect(await cluster.call('POST', sessions, { body })).toMatchObject({ status: 201 });
}

test('a session without a status has none', async () => {
  await create('new');
  expect(await read('new')).toBeNull();
});

test.each(statuses)('a status $what is read back as it was written', async ({ what, status }) => {
  const name = what.replaceAll(/[^a-z]+/g, '-');
  await create(name);
  await write(name, storedStatus(status));
  expect(await read(name)).toEqual(status);
});

test('what is not known any more is removed', async () => {
  await create('forgetful');
  await write('forgetful', storedStatus(made(observedOf())));
  await write('forgetful', storedStatus(statusOfPast()));
  expect(await read('forgetful')).toEqual(statusOfPast());
});

test('null is refused by server-side apply, so it is left out', async () => {
  await create('nulls');
  await expect(write('nulls', statusOfPast())).rejects.toThrow('status.url: Invalid value: "null"');
});

test('conditions of others stay', async () => {
  await create('audited');
  await write('audited', storedStatus(made(observedOf())));
  const audited = { type: 'Audited', status: 'True', reason: 'R', message: 'm' };
  const condition = { ...audited, lastTransitionTime: '2026-05-04T09:00:00Z' };
  const reply = await cluster.call('PATCH', `${sessions}/audited/status?fieldManager=auditor`, {
    body: { apiVersion, kind, metadata: { name: 'audited' }, status: { conditions: [condition] } },
    contentType: 'application/apply-patch+yaml',
  });
  expect(reply.status, String(reply.body.message)).toBe(200);
  await write('audited', storedStatus(made(observedOf({ attempt: attemptOf() }))));
  const { body } = await cluster.call('GET', `${sessions}/audited`);
  expect((body.status as SessionStatus).conditions).toContainEqual(condition);
});
