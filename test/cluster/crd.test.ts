import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { examples, sessionOf } from '#crds/page.ts';
import { type Reply, startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';
import {
  type Edit,
  editsOfExportVolume,
  editsOfQueueVolumes,
  illegalEdits,
  illegalStatusEdits,
  isFinalizing,
  isProvisioned,
  isSealed,
  legalEdits,
  type PhaseOfLife,
  phasesOfLife,
  sessionIn,
  waysBack,
} from './sessionedits.ts';
import { type WrongSession, wrongSessions } from './wrongsessions.ts';

const crdFile = 'crds/examsessions.untradex.io.yaml';
const sessions = '/apis/untradex.io/v1alpha1/namespaces/default/examsessions';
const strict = 'fieldValidation=Strict';
const mergePatch = 'application/merge-patch+json';

let cluster: TestApiServer;

beforeAll(async () => {
  cluster = await startApiServer();
  expect(await cluster.kubectl(['apply', '-f', crdFile])).toMatchObject({ code: 0, stderr: '' });
  await cluster.kubectl(['wait', '--for=condition=Established', 'crd/examsessions.untradex.io', '--timeout=30s']);
  // Discovery and documentation follow a little later.
  const explained = async () => (await cluster.kubectl(['explain', 'exam'])).code === 0;
  await until(explained, { what: 'the new resource', timeoutMs: 30_000 });
});

const messageOf = ({ body }: Reply) => String(body.message);

async function create(name: string, { spec, status }: { spec: unknown; status?: object | null }): Promise<void> {
  const { metadata: _, ...session } = sessionOf(spec as object) as Record<string, unknown>;
  const made = await cluster.call('POST', `${sessions}?${strict}`, { body: { ...session, metadata: { name } } });
  expect(made, messageOf(made)).toMatchObject({ status: 201 });
  if (status) await patch(name, { status }, '/status');
}

/** A merge patch that must be taken; returns the object. */
async function patch(name: string, body: unknown, subresource = ''): Promise<Record<string, unknown>> {
  const path = `${sessions}/${name}${subresource}?${strict}`;
  const reply = await cluster.call('PATCH', path, { body, contentType: mergePatch });
  expect(reply, messageOf(reply)).toMatchObject({ status: 200 });
  return reply.body;
}

/** What would happen: nothing changes. */
function tryPatch(name: string, { patch: body }: Edit, subresource = ''): Promise<Reply> {
  const path = `${sessions}/${name}${subresource}?${strict}&dryRun=All`;
  return cluster.call('PATCH', path, { body, contentType: mergePatch });
}

describe('the definition', () => {
  test('is established, structural and without complaints', async () => {
    const { body } = await cluster.call(
      'GET',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/examsessions.untradex.io',
    );
    const { conditions } = body.status as { conditions: { type: string; status: string; message: string }[] };
    const states = Object.fromEntries(conditions.map(({ type, status }) => [type, status]));
    expect(states).toMatchObject({ Established: 'True', NamesAccepted: 'True' });
    expect(states.NonStructuralSchema, JSON.stringify(conditions)).not.toBe('True');
  });

  test('can be applied again, and changes nothing', async () => {
    expect((await cluster.kubectl(['apply', '-f', crdFile])).stdout).toContain('unchanged');
  });

  test('kubectl explain exam.spec.export reads well', async () => {
    const { stdout } = await cluster.kubectl(['explain', 'exam.spec.export']);
    expect(stdout).toContain('KIND:       ExamSession');
    expect(stdout).toContain('Where the answers go.');
    for (const text of ['table\t<string>', 'batchRows\t<integer>', 'duckdb\t<Object>', "A rehearsal's gets the suffix"])
      expect(stdout).toContain(text);
  });

  test('kubectl explain knows every field of the spec', async () => {
    const { stdout } = await cluster.kubectl(['explain', 'exam.spec', '--recursive']);
    const crd = parse(readFileSync(crdFile, 'utf8'));
    const { properties } = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec;
    for (const field of Object.keys(properties)) expect(stdout).toMatch(new RegExp(`^  ${field}\\t<`, 'm'));
  });
});

const sessionFiles = readdirSync('examples')
  .map((name) => `examples/${name}`)
  .filter((file) => file.endsWith('.yaml') && readFileSync(file, 'utf8').includes('kind: ExamSession'));

describe('a good session', () => {
  test.each([
    ...examples.map(({ title, spec }) => ({ title, yaml: stringify(sessionOf(spec)) })),
    { title: 'the smallest', yaml: stringify(sessionOf({ students: 1 })) },
    ...sessionFiles.map((file) => ({ title: file, yaml: readFileSync(file, 'utf8') })),
  ])('is taken: $title', async ({ yaml }) => {
    const { code, stderr } = await cluster.kubectl(['apply', '--dry-run=server', '-f', '-'], yaml);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('gets the defaults, and keeps null for nothing', async () => {
    await create('defaults', { spec: { students: 10, redis: {}, auth: null, closesAt: null } });
    const { body } = await cluster.call('GET', `${sessions}/defaults`);
    expect(body.spec).toEqual({
      ...{ students: 10, phase: 'Active', provisionLeadMinutes: 30, graceSeconds: 10, late: 'Refuse' },
      ...{ autoFinalize: false, rehearsal: false, answers: { perStudent: 200, bytes: 250 } },
      ...{ access: { origins: [] }, auth: {}, gateway: { studentsPerReplica: 5000, autoscale: false } },
      ...{ redis: { studentsPerShard: 10000, refill: [] }, export: { table: 'EXAM_ANSWERS', batchRows: 5000 } },
    });
  });

  test('shows ready, phase, students, connected, events, verified and age, and can be waited for', async () => {
    const conditions = [
      { type: 'Ready', status: 'True' },
      { type: 'Verified', status: 'False' },
    ].map((condition) => ({ ...condition, reason: 'R', message: 'm', lastTransitionTime: '2026-05-04T09:00:00Z' }));
    const status = { phase: 'Active', conditions, students: { connected: 3999 }, events: { durable: 123456 } };
    await create('shown', { spec: { students: 4000 }, status: { ...status, url: 'https://exam.example.edu/exam' } });
    const lines = (await cluster.kubectl(['get', 'exam', 'shown'])).stdout.split('\n').map((line) => line.split(/\s+/));
    expect(lines[0]).toEqual(['NAME', 'READY', 'PHASE', 'STUDENTS', 'CONNECTED', 'EVENTS', 'VERIFIED', 'AGE']);
    expect(lines[1]!.slice(0, 7)).toEqual(['shown', 'True', 'Active', '4000', '3999', '123456', 'False']);
    const wide = (await cluster.kubectl(['get', 'exam', 'shown', '-o', 'wide'])).stdout;
    expect(wide).toMatch(/EXPORTED +REPLICAS +SHARDS +URL/);
    const ready = await cluster.kubectl(['wait', '--for=condition=Ready', 'exam/shown', '--timeout=10s']);
    expect(ready.code, ready.stderr).toBe(0);
  });
});

describe('a wrong session', () => {
  test.each(wrongSessions)('is refused: $title', async (wrong: WrongSession) => {
    const { name = 'wrong', spec, beside, says } = wrong;
    const whole = 'wholeSpec' in wrong ? wrong.wholeSpec : { students: 10, ...spec };
    const body = { ...sessionOf(whole as object), ...beside, metadata: { name } };
    const reply = await cluster.call('POST', `${sessions}?${strict}&dryRun=All`, { body });
    expect(reply.status, messageOf(reply)).toBeOneOf([400, 422]);
    for (const text of says) expect(messageOf(reply)).toContain(text);
  });

  test('there are at least 250 of them', () => {
    expect(wrongSessions.length).toBeGreaterThanOrEqual(250);
  });
});

/** `a, b` -> `a-b` */
const nameOf = (phase: PhaseOfLife) => phase.toLowerCase().replaceAll(/[^a-z]+/g, '-');

describe.each(phasesOfLife)('an edit in the phase: %s', (phase) => {
  const name = nameOf(phase);
  beforeAll(() => create(name, sessionIn(phase)));

  test.each(legalEdits)('is taken: $title', async (edit) => {
    const before = (await cluster.call('GET', `${sessions}/${name}`)).body as { metadata: { generation: number } };
    const reply = await tryPatch(name, edit);
    expect(reply.status, messageOf(reply)).toBe(200);
    const { spec = {}, metadata = {} } = edit.patch as Record<string, Record<string, unknown>>;
    const kept = Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== null));
    expect(reply.body).toMatchObject({ spec: kept, metadata });
    for (const field of Object.keys(spec).filter((key) => spec[key] === null))
      expect(reply.body.spec).not.toHaveProperty(field);
    const { generation } = reply.body.metadata as { generation: number };
    const changes = 'spec' in edit.patch && !(isFinalizing(phase) && spec.phase === 'Finalizing');
    expect(generation).toBe(before.metadata.generation + (changes ? 1 : 0));
  });

  test.each(illegalEdits)('is refused: $title', async (edit) => {
    const reply = await tryPatch(name, edit);
    expect(reply.status, messageOf(reply)).toBe(422);
    expect(messageOf(reply)).toContain(edit.says);
  });

  const fixed = [
    { what: 'the volumes of the queue', edits: editsOfQueueVolumes, isFixed: isProvisioned(phase) },
    { what: 'the volume of the export', edits: editsOfExportVolume, isFixed: isSealed(phase) },
  ];
  describe.each(fixed)('of $what', ({ edits, isFixed }) => {
    test.each(edits)(`is ${isFixed ? 'refused' : 'taken'}: $title`, async (edit) => {
      const reply = await tryPatch(name, edit);
      expect(reply.status, messageOf(reply)).toBe(isFixed ? 422 : 200);
      if (isFixed) expect(messageOf(reply)).toContain(edit.says);
    });
  });

  test.each(waysBack)(`is ${isSealed(phase) ? 'refused' : 'taken'}: $title`, async (edit) => {
    const reply = await tryPatch(name, edit);
    expect(reply.status, messageOf(reply)).toBe(isSealed(phase) ? 422 : 200);
    if (isSealed(phase)) expect(messageOf(reply)).toContain(edit.says);
    else expect(reply.body).toMatchObject({ spec: { phase: 'Active' } });
  });

  if (!isSealed(phase)) return;
  test.each(illegalStatusEdits)('of the status is refused: $title', async (edit) => {
    const reply = await tryPatch(name, edit, '/status');
    expect(reply.status, messageOf(reply)).toBe(422);
    expect(messageOf(reply)).toContain(edit.says);
  });
});

describe('once sealing has begun', () => {
  const name = nameOf('Draining, sealing');

  test('a whole object without a phase does not bring Active back', async () => {
    const { body } = await cluster.call('GET', `${sessions}/${name}`);
    const { phase: _, ...spec } = body.spec as Record<string, unknown>;
    const reply = await cluster.call('PUT', `${sessions}/${name}?dryRun=All`, { body: { ...body, spec } });
    expect(reply.status).toBe(422);
    expect(messageOf(reply)).toContain('spec.phase cannot go back to Active');
  });

  test('nor does a spec that brings its own status', async () => {
    const { body } = await cluster.call('GET', `${sessions}/${name}`);
    const spec = { ...(body.spec as object), phase: 'Active' };
    const reply = await cluster.call('PUT', `${sessions}/${name}?dryRun=All`, { body: { ...body, spec, status: {} } });
    expect(reply.status).toBe(422);
  });
});

test('shards can be said late: before anything exists freely, later only as they are', async () => {
  const { spec, status } = sessionIn('Pending');
  await create('lateshards', { spec: { ...spec, redis: {} }, status });
  const three = { title: '', patch: { spec: { redis: { shards: 3 } } } };
  expect((await tryPatch('lateshards', three)).status).toBe(200);
  await patch('lateshards', { status: { phase: 'Active' } }, '/status');
  const reply = await tryPatch('lateshards', three);
  expect(reply.status).toBe(422);
  expect(messageOf(reply)).toContain('spec.redis.shards must be the number of shards that exist');
  expect((await tryPatch('lateshards', { title: '', patch: { spec: { redis: { shards: 2 } } } })).status).toBe(200);
});

test('storage that was left out can be said late, and then only grows', async () => {
  const { status } = sessionIn('Active');
  await create('latestorage', { spec: { students: 10 }, status });
  await patch('latestorage', { spec: { redis: { storage: '100000000001' } } });
  const less = { title: '', patch: { spec: { redis: { storage: 100_000_000_000 } } } };
  expect(messageOf(await tryPatch('latestorage', less))).toContain('spec.redis.storage cannot shrink');
  const another = { title: '', patch: { spec: { redis: { storageClass: 'fast' } } } };
  expect(messageOf(await tryPatch('latestorage', another))).toContain('spec.redis.storageClass cannot change');
});

test('applying the same file again, as GitOps does, never takes Finalizing back', async () => {
  const yaml = stringify({ ...sessionOf({ students: 10 }), metadata: { name: 'gitops' } });
  const apply = (...how: string[]) => cluster.kubectl(['apply', ...how, '-f', '-'], yaml);
  for (const how of [['--server-side'], []]) {
    expect(await apply(...how)).toMatchObject({ code: 0 });
    await patch('gitops', { spec: { phase: 'Finalizing' } });
    expect(await apply(...how)).toMatchObject({ code: 0 });
    const { body } = await cluster.call('GET', `${sessions}/gitops`);
    expect(body.spec).toMatchObject({ phase: 'Finalizing' });
    await cluster.call('DELETE', `${sessions}/gitops`);
  }
});
