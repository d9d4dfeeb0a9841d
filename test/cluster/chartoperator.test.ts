import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { annotationNames, finalizers } from '#operator/kubernetes/names.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { pathOf, startGuarded } from './guarded.ts';
import { ofKind, releaseNamespace, render } from './helm.ts';

/**
 * The operator itself, with the configuration, the rights and the policies that the chart gives it, on an API server
 * without nodes: it makes what a session needs first, and ends a session that is deleted.
 */
const user = `system:serviceaccount:${releaseNamespace}:untradex-operator`;

test.each([
  { title: 'in the whole cluster', set: {}, namespace: 'default' },
  { title: 'in one namespace', set: { watchNamespaces: ['exams'] }, namespace: 'exams' },
])('the operator works $title, and nothing that it asks for is refused', async ({ set, namespace }) => {
  const folder = tmpFolder('operator');
  const auditFile = join(folder, 'audit.log');
  const policyFile = join(folder, 'policy.yaml');
  const rules = [{ level: 'Metadata', users: [user] }];
  writeFileSync(policyFile, stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }));
  const guarded = await startGuarded(set, {
    extraArgs: [`--audit-log-path=${auditFile}`, `--audit-policy-file=${policyFile}`],
  });
  const { cluster } = guarded;
  const config = join(folder, 'operator.yaml');
  const [map] = ofKind(await render(set), 'ConfigMap');
  writeFileSync(config, stringify({ ...parse(map!.data['operator.yaml']), ops: { port: 0 } }));

  const account = `/api/v1/namespaces/${releaseNamespace}/serviceaccounts/untradex-operator`;
  const asked = await cluster.call('POST', `${account}/token`, { body: { spec: { audiences: [] } } });
  expect(asked, String(asked.body.message)).toMatchObject({ status: 201 });
  const kubeconfig = parse(readFileSync(cluster.kubeconfig, 'utf8'));
  kubeconfig.users[0].user = { token: (asked.body.status as { token: string }).token };
  const kubeconfigFile = join(folder, 'kubeconfig.yaml');
  writeFileSync(kubeconfigFile, stringify(kubeconfig), { mode: 0o600 });
  const operator = startProgram({
    argv: [process.execPath, 'operator/main.ts', '--config', config],
    env: { KUBECONFIG: kubeconfigFile, POD_NAME: 'untradex-operator-1', POD_NAMESPACE: releaseNamespace },
  });
  const told = () => `${operator.stdout}\n${operator.stderr}`;

  const uid = await guarded.make(namespace, 'algebra');
  const sets = `/apis/apps/v1/namespaces/${namespace}/statefulsets`;
  const made = async () => ((await cluster.call('GET', sets)).body.items as unknown[]).length === 1;
  await until(made, { what: 'the shards to be made', timeoutMs: 30_000 }).catch((error) => {
    throw new Error(`${error.message}\n${told().slice(-3_000)}\n${refusals(auditFile).join('\n')}`);
  });
  const { metadata } = (await cluster.call('GET', pathOf(namespace, 'algebra'))).body;
  expect(metadata).toMatchObject({ finalizers: expect.arrayContaining([finalizers.session]) });
  const policies = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
  await until(async () => ((await cluster.call('GET', policies)).body.items as unknown[]).length === 3, {
    what: 'policies',
  });

  const refused = async () => (await guarded.remove(namespace, 'algebra')).status === 403;
  await until(refused, { what: 'the policies' });
  await guarded.edit(namespace, 'algebra', { metadata: { annotations: { [annotationNames.deleteUnverified]: uid } } });
  expect(await guarded.remove(namespace, 'algebra')).toMatchObject({ status: 200 });
  const gone = async () => (await cluster.call('GET', pathOf(namespace, 'algebra'))).status === 404;
  await until(gone, { what: 'the session to be ended', timeoutMs: 30_000 });

  operator.kill('SIGTERM');
  expect(await operator.ended()).toMatchObject({ code: 0 });
  expect(refusals(auditFile)).toEqual([]);
});

/** What the operator was refused, by the audit log. */
function refusals(auditFile: string): string[] {
  return readFileSync(auditFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter(({ stage, responseStatus }) => stage === 'ResponseComplete' && responseStatus?.code === 403)
    .map(({ verb, requestURI, responseStatus }) => `${verb} ${requestURI}: ${responseStatus.message}`);
}
