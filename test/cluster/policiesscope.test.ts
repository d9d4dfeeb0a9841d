import { describe, expect, test } from 'vitest';
import { finalizers } from '#operator/kubernetes/names.ts';
import { until } from '#test/support/until.ts';
import { messageOf, startGuarded, untilInForce } from './guarded.ts';

const running = { finalizers: [finalizers.session], status: { phase: 'Active' } };

describe('policies of a release that watches one namespace', () => {
  test('hold there, and nowhere else', async () => {
    const guarded = await startGuarded({ watchNamespaces: ['exams'] });
    const { cluster, make, remove, release, makeNamespace } = guarded;
    await untilInForce(guarded, 'exams');
    await makeNamespace('others');
    await make('exams', 'algebra', running);
    await make('others', 'algebra', running);
    expect(messageOf(await remove('exams', 'algebra'))).toContain('is not verified');
    const namespaces = '/api/v1/namespaces';
    const refused = async () => (await cluster.call('DELETE', `${namespaces}/exams?dryRun=All`)).status === 403;
    await until(refused, { what: 'the namespace to be kept' });
    expect(await cluster.call('DELETE', `${namespaces}/others?dryRun=All`)).toMatchObject({ status: 200 });
    expect(await remove('others', 'algebra')).toMatchObject({ status: 200 });
    await release('others', 'algebra');
  });
});

describe('without the policy of finalizing', () => {
  test('whoever may update a session may finalize it', async () => {
    const guarded = await startGuarded({ 'admissionPolicies.finalize': false }, { users: ['teacher'] });
    await guarded.bind('teacher', 'untradex-view', 'untradex-edit');
    await untilInForce(guarded);
    await guarded.make('default', 'algebra', running);
    const finalizing = { spec: { phase: 'Finalizing' } };
    expect(await guarded.edit('default', 'algebra', finalizing, 'teacher')).toMatchObject({ status: 200 });
    expect(await guarded.remove('default', 'algebra')).toMatchObject({ status: 403 });
  });
});
