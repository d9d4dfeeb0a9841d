import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { sessionOf } from '#crds/page.ts';
import { annotationNames, finalizers } from '#operator/kubernetes/names.ts';
import type { TestApiServer } from '#test/support/apiserver.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { type Guarded, group, mergePatch, messageOf, pathOf, startGuarded, untilInForce } from './guarded.ts';
import { releaseNamespace } from './helm.ts';

/** The chart's admission policies and roles, on a real API server. */
const operator = `system:serviceaccount:${releaseNamespace}:untradex-operator`;

let guarded: Guarded;
let cluster: TestApiServer;
let auditFile: string;

beforeAll(async () => {
  const folder = tmpFolder('audit');
  auditFile = join(folder, 'audit.log');
  const policyFile = join(folder, 'policy.yaml');
  const audit = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] };
  writeFileSync(policyFile, stringify(audit));
  guarded = await startGuarded(
    {},
    {
      users: ['teacher', 'finalizer', 'argocd'],
      extraArgs: [`--audit-log-path=${auditFile}`, `--audit-policy-file=${policyFile}`],
    },
  );
  ({ cluster } = guarded);
  await guarded.bind('teacher', 'untradex-view', 'untradex-edit');
  await guarded.bind('argocd', 'untradex-view', 'untradex-edit');
  await guarded.bind('finalizer', 'untradex-view', 'untradex-edit', 'untradex-finalizer');
  await untilInForce(guarded);
  const finalizing = { body: { spec: { phase: 'Finalizing' } }, contentType: mergePatch, token: 'teacher' };
  const path = `${pathOf('default', 'probe')}?dryRun=All`;
  await until(async () => (await cluster.call('PATCH', path, finalizing)).status === 403, { what: 'the policies' });
});

const make: Guarded['make'] = (...args) => guarded.make(...args);
const edit: Guarded['edit'] = (...args) => guarded.edit(...args);
const remove: Guarded['remove'] = (...args) => guarded.remove(...args);
const release: Guarded['release'] = (...args) => guarded.release(...args);
const makeNamespace: Guarded['makeNamespace'] = (...args) => guarded.makeNamespace(...args);
const active = { phase: 'Active' };
const verified = (value: 'True' | 'False') => (uid: string) => ({
  ...{ uid, phase: value === 'True' ? 'Completed' : 'Exporting' },
  conditions: [
    { type: 'Verified', status: value, reason: 'R', message: 'm', lastTransitionTime: '2026-05-04T09:00:00Z' },
  ],
});
const held = { finalizers: [finalizers.session] };

describe('deleting a session', () => {
  test.each([
    { title: 'one that students use', status: active },
    { title: 'one whose export goes on', status: verified('False') },
    { title: 'one that failed', status: { phase: 'Failed' } },
    { title: 'one with the status of another', status: () => verified('True')('0d7e0f3a-0000-4000-8000-000000000000') },
    { title: 'one whose status is gone' },
  ])('is refused: $title', async ({ title, ...wanted }) => {
    const name = title.replaceAll(' ', '-');
    const uid = await make('default', name, { ...held, ...wanted });
    const reply = await remove('default', name);
    expect(reply.status).toBe(403);
    expect(messageOf(reply)).toContain(`ExamSession default/${name}`);
    expect(messageOf(reply)).toContain('is not verified');
    expect(messageOf(reply)).toContain(`kubectl wait exam/${name} -n default --for=condition=Verified`);
    expect(messageOf(reply)).toContain(`kubectl annotate exam/${name} -n default untradex.io/delete-unverified=${uid}`);
  });

  test.each([
    { title: 'one that is verified', status: verified('True'), ...held },
    { title: 'one that nobody looked at yet' },
    { title: 'one that waits for its time', status: { phase: 'Pending' }, ...held },
  ])('is taken: $title', async ({ title, ...wanted }) => {
    const name = title.replaceAll(' ', '-');
    await make('default', name, wanted);
    expect(await remove('default', name)).toMatchObject({ status: 200 });
    await release('default', name);
  });

  test('is refused to those who delete all', async () => {
    await makeNamespace('many');
    await make('many', 'running', { ...held, status: active });
    const reply = await cluster.call('DELETE', `${group}/namespaces/many/examsessions`);
    expect(reply.status, messageOf(reply)).toBe(403);
    expect(await cluster.call('GET', pathOf('many', 'running'))).toMatchObject({ status: 200 });
  });

  test('is taken when an annotation names its uid, and the audit log tells who did it', async () => {
    const uid = await make('default', 'broken-glass', { ...held, status: active });
    const annotate = (value: string) =>
      edit('default', 'broken-glass', { metadata: { annotations: { [annotationNames.deleteUnverified]: value } } });
    for (const wrong of ['true', '', 'broken-glass', '0d7e0f3a-0000-4000-8000-000000000000']) {
      await annotate(wrong);
      expect(await remove('default', 'broken-glass')).toMatchObject({ status: 403 });
    }
    await annotate(uid);
    expect(await remove('default', 'broken-glass')).toMatchObject({ status: 200 });
    await release('default', 'broken-glass');
    const told = () => readFileSync(auditFile, 'utf8').includes(`unverified session ${uid} deleted by admin`);
    await until(told, { what: 'the audit log to tell of it' });
  });

  test('is refused by kubectl with words that help', async () => {
    await make('default', 'by-hand', { ...held, status: active });
    const { code, stderr } = await cluster.kubectl(['delete', 'exam', 'by-hand']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /ValidatingAdmissionPolicy 'untradex-deletion' .* denied request: ExamSession default\/by-hand \(Active\) is not verified/,
    );
  });
});

describe('deleting a namespace', () => {
  const namespaces = '/api/v1/namespaces';

  test('is refused while a session in it is not verified', async () => {
    await makeNamespace('exams');
    const uid = await make('exams', 'running', { ...held, status: active });
    await make('exams', 'done', { ...held, status: verified('True') });
    const reply = await until(
      async () => {
        const answer = await cluster.call('DELETE', `${namespaces}/exams?dryRun=All`);
        return answer.status === 403 ? answer : null;
      },
      { what: 'the refusal' },
    );
    expect(messageOf(reply)).toContain('Namespace exams holds ExamSession running, which is not verified');
    expect(messageOf(reply)).toContain(`untradex.io/delete-unverified=${uid}`);
    await edit('exams', 'running', { metadata: { annotations: { [annotationNames.deleteUnverified]: uid } } });
    const taken = async () => (await cluster.call('DELETE', `${namespaces}/exams?dryRun=All`)).status === 200;
    await until(taken, { what: 'the namespace to be let go' });
  });

  test('of others goes as ever', async () => {
    await makeNamespace('others');
    expect(await cluster.call('DELETE', `${namespaces}/others`)).toMatchObject({ status: 200 });
  });
});

describe('deleting the definition', () => {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/examsessions.untradex.io';

  test('is refused, unless an annotation names its uid', async () => {
    const reply = await cluster.call('DELETE', `${path}?dryRun=All`);
    expect(reply.status).toBe(403);
    expect(messageOf(reply)).toContain('every ExamSession of the cluster would be deleted');
    const { uid } = (await cluster.call('GET', path)).body.metadata as { uid: string };
    const annotations = { [annotationNames.deleteUnverified]: uid };
    await cluster.call('PATCH', path, { body: { metadata: { annotations } }, contentType: mergePatch });
    expect(await cluster.call('DELETE', `${path}?dryRun=All`)).toMatchObject({ status: 200 });
  });
});

describe('finalizing', () => {
  test('needs a right of its own: to update is not enough', async () => {
    await make('default', 'guarded', { status: active });
    const finalizing = { spec: { phase: 'Finalizing' } };
    const reply = await edit('default', 'guarded', finalizing, 'teacher');
    expect(reply.status).toBe(403);
    expect(messageOf(reply)).toContain('User teacher cannot change spec.phase from Active to Finalizing');
    expect(messageOf(reply)).toContain('"update" "examsessions/finalize" in namespace default');
    expect(messageOf(reply)).toContain('ClusterRole untradex-finalizer');
    expect(await edit('default', 'guarded', finalizing, 'finalizer')).toMatchObject({ status: 200 });
  });

  test('can be given for one session alone', async () => {
    await make('default', 'own', { status: active });
    await make('default', 'foreign', { status: active });
    const role = ['--verb=update', '--resource=examsessions/finalize', '--resource-name=own'];
    expect((await cluster.kubectl(['create', 'role', 'one', ...role])).code).toBe(0);
    expect((await cluster.kubectl(['create', 'rolebinding', 'one', '--role=one', '--user=argocd'])).code).toBe(0);
    const finalizing = { spec: { phase: 'Finalizing' } };
    await until(async () => (await edit('default', 'own', finalizing, 'argocd')).status === 200, { what: 'the right' });
    expect(await edit('default', 'foreign', finalizing, 'argocd')).toMatchObject({ status: 403 });
  });

  test('is taken back by whoever may finalize only', async () => {
    await make('default', 'back', { spec: { phase: 'Finalizing' }, status: { phase: 'Draining' } });
    for (const body of [{ spec: { phase: 'Active' } }, { spec: { phase: null } }]) {
      const reply = await edit('default', 'back', body, 'teacher');
      expect(reply.status).toBe(403);
      expect(messageOf(reply)).toContain('from Finalizing to Active');
    }
    expect(await edit('default', 'back', { spec: { phase: null } }, 'finalizer')).toMatchObject({ status: 200 });
  });

  test('cannot be had by an end that comes sooner', async () => {
    const spec = { closesAt: '2026-05-04T11:00:00Z' };
    await make('default', 'sooner', { spec, status: active });
    const on = await edit('default', 'sooner', { spec: { autoFinalize: true } }, 'teacher');
    expect(on.status).toBe(403);
    expect(messageOf(on)).toContain('cannot let the session finalize itself sooner');
    expect(await edit('default', 'sooner', { spec: { autoFinalize: true } }, 'finalizer')).toMatchObject({
      status: 200,
    });
    const earlier = { spec: { closesAt: '2026-05-04T09:00:00+02:00' } };
    expect(await edit('default', 'sooner', earlier, 'teacher')).toMatchObject({ status: 403 });
    const later = { spec: { closesAt: '2026-05-04T14:00:00+02:00' } };
    expect(await edit('default', 'sooner', later, 'teacher')).toMatchObject({ status: 200 });
  });

  test('is not asked of edits that leave the phase, nor of a re-apply by GitOps', async () => {
    const yaml = stringify({
      ...sessionOf({ students: 10, autoFinalize: true, closesAt: '2026-05-04T11:00:00Z' }),
      metadata: { name: 'gitops' },
    });
    const asArgo = ['--kubeconfig', cluster.kubeconfigOf('argocd')];
    for (const how of [['--server-side'], []]) {
      const applied = await cluster.kubectl([...asArgo, 'apply', ...how, '-f', '-'], yaml);
      expect(applied, applied.stderr).toMatchObject({ code: 0 });
      expect(await edit('default', 'gitops', { spec: { phase: 'Finalizing' } }, 'finalizer')).toMatchObject({
        status: 200,
      });
      const again = await cluster.kubectl([...asArgo, 'apply', ...how, '-f', '-'], yaml);
      expect(again, again.stderr).toMatchObject({ code: 0 });
      expect((await cluster.call('GET', pathOf('default', 'gitops'))).body.spec).toMatchObject({ phase: 'Finalizing' });
      expect(await edit('default', 'gitops', { spec: { students: 20 } }, 'teacher')).toMatchObject({ status: 200 });
      expect(await remove('default', 'gitops')).toMatchObject({ status: 200 });
    }
  });

  test('from the first moment needs the right as well', async () => {
    const body = { ...sessionOf({ students: 10, phase: 'Finalizing' }), metadata: { name: 'born-finalizing' } };
    const path = `${group}/namespaces/default/examsessions?dryRun=All`;
    expect(await cluster.call('POST', path, { body, token: 'teacher' })).toMatchObject({ status: 403 });
    expect(await cluster.call('POST', path, { body, token: 'finalizer' })).toMatchObject({ status: 201 });
  });
});

describe('the claims of answers', () => {
  const claims = '/api/v1/namespaces/default/persistentvolumeclaims';

  async function makeClaim(name: string, kept: readonly string[]): Promise<string> {
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    const made = await cluster.call('POST', claims, { body: { metadata: { name, finalizers: kept }, spec } });
    expect(made, messageOf(made)).toMatchObject({ status: 201 });
    return (made.body.metadata as { uid: string }).uid;
  }

  const patchAs = (name: string, user: string[], body: object) =>
    cluster.kubectl(['patch', 'pvc', name, ...user, '--type=merge', '-p', JSON.stringify(body)]);

  test('keep their finalizer, but for the operator', async () => {
    const uid = await makeClaim('answers', [finalizers.answers, 'example.com/other']);
    const without = { metadata: { finalizers: ['example.com/other'] } };
    const refused = await patchAs('answers', [], without);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('PersistentVolumeClaim default/answers holds answers of an exam');
    expect(refused.stderr).toContain(`untradex.io/delete-unverified=${uid}`);
    expect((await patchAs('answers', [], { metadata: { finalizers: null } })).code).toBe(1);
    const other = await patchAs('answers', [], { metadata: { finalizers: [finalizers.answers], labels: { a: 'b' } } });
    expect(other.code, other.stderr).toBe(0);
    const done = await patchAs('answers', [`--as=${operator}`], { metadata: { finalizers: null } });
    expect(done.code, done.stderr).toBe(0);
  });

  test('lose it to whoever names their uid', async () => {
    const uid = await makeClaim('given-up', [finalizers.answers]);
    const annotated = (value: string) => ({
      metadata: { finalizers: null, annotations: { [annotationNames.deleteUnverified]: value } },
    });
    expect((await patchAs('given-up', [], annotated('yes'))).code).toBe(1);
    expect((await patchAs('given-up', [], annotated(uid))).code).toBe(0);
  });

  test('of others are nobody else’s business', async () => {
    await makeClaim('plain', ['example.com/other']);
    expect((await patchAs('plain', [], { metadata: { finalizers: null } })).code).toBe(0);
  });
});

test('every policy is understood by the API server without complaints', async () => {
  const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
  const { items } = (await cluster.call('GET', path)).body as {
    items: { metadata: { name: string }; status?: { typeChecking?: object } }[];
  };
  const ours = items.filter(({ metadata }) => metadata.name.startsWith('untradex-'));
  expect(ours.map(({ metadata }) => metadata.name).sort()).toEqual(
    ['claims', 'definition', 'deletion', 'deletion-namespace', 'finalize'].map((name) => `untradex-${name}`),
  );
});
