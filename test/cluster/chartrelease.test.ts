import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { sessionOf } from '#crds/page.ts';
import { finalizers } from '#operator/kubernetes/names.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { chartFolder, helm, ofKind, release, releaseNamespace, render } from './helm.ts';

const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/examsessions.untradex.io';

describe('a release', () => {
  let cluster: TestApiServer;
  const at = (...args: string[]) =>
    helm(
      ...args,
      '--namespace',
      releaseNamespace,
      '--kubeconfig',
      cluster.kubeconfig,
      ...(args[0] === 'uninstall' ? [] : ['--create-namespace']),
    );

  beforeAll(async () => {
    cluster = await startApiServer();
  });

  test('is installed, upgrades an older definition under sessions that exist, and leaves it when it goes', async () => {
    const older = await olderChart();
    const installed = await at('install', release, older);
    expect(installed.code, installed.stderr).toBe(0);
    expect(installed.stdout).toContain('kubectl wait exam/algebra -n default --for=condition=Ready');
    const sessions = '/apis/untradex.io/v1alpha1/namespaces/default/examsessions';
    await until(async () => (await cluster.call('GET', sessions)).status === 200, { what: 'the resource' });
    const body = sessionOf({ students: 10 });
    expect(await cluster.call('POST', sessions, { body })).toMatchObject({ status: 201 });
    expect((await cluster.call('GET', crdPath)).body).not.toHaveProperty(answers);

    const upgraded = await at('upgrade', release, chartFolder);
    expect(upgraded.code, upgraded.stderr).toBe(0);
    const knows = async () => Boolean(dig((await cluster.call('GET', crdPath)).body, answers));
    await until(knows, { what: 'the newer definition' });
    expect(await cluster.call('GET', `${sessions}/algebra`)).toMatchObject({
      status: 200,
      body: { spec: { students: 10 } },
    });

    const uninstalled = await at('uninstall', release, '--no-hooks');
    expect(uninstalled.code, uninstalled.stderr).toBe(0);
    expect(await cluster.call('GET', `${sessions}/algebra`)).toMatchObject({ status: 200 });
    const left = await cluster.kubectl([
      'get',
      'deploy,cm,sa,role,rolebinding,pdb,svc,netpol',
      '-n',
      releaseNamespace,
      '-l',
      `app.kubernetes.io/instance=${release}`,
      '-o',
      'name',
    ]);
    expect(left).toMatchObject({ code: 0, stdout: '' });
    const wide = await cluster.kubectl([
      'get',
      'clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding,crd',
      '-l',
      `app.kubernetes.io/instance=${release}`,
      '-o',
      'name',
    ]);
    expect(wide).toMatchObject({
      code: 0,
      stdout: 'customresourcedefinition.apiextensions.k8s.io/examsessions.untradex.io\n',
    });

    const again = await at('install', release, chartFolder);
    expect(again.code, again.stderr).toBe(0);
  });

  /** The chart, with a definition that does not know answers yet. */
  async function olderChart(): Promise<string> {
    const folder = join(tmpFolder('chart'), 'untradex');
    cpSync(chartFolder, folder, { recursive: true });
    const file = join(folder, 'files/examsessions.untradex.io.yaml');
    const crd = parse(readFileSync(file, 'utf8'));
    delete crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.answers;
    writeFileSync(file, stringify(crd, { version: '1.1' }));
    return folder;
  }
  const answers = 'spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.answers';
  const dig = (object: unknown, path: string) =>
    path.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], object);
});

describe('the pods that look once', () => {
  let cluster: TestApiServer;
  const sessions = (namespace: string) => `/apis/untradex.io/v1alpha1/namespaces/${namespace}/examsessions`;

  beforeAll(async () => {
    cluster = await startApiServer();
    for (const name of [releaseNamespace, 'exams-a', 'exams-b'])
      await cluster.call('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  });

  /** Runs what the pod would run, with the image's Node and program replaced by this checkout's. */
  async function look(what: 'released' | 'works', set: Record<string, unknown> = {}) {
    const manifests = await render(set);
    const pod = what === 'works' ? ofKind(manifests, 'Pod')[0]!.spec : ofKind(manifests, 'Job')[0]!.spec.template.spec;
    const [container] = pod.containers;
    const folder = tmpFolder('account');
    writeFileSync(join(folder, 'token'), cluster.token, { mode: 0o600 });
    writeFileSync(join(folder, 'ca.crt'), cluster.ca);
    const given = Object.fromEntries(
      container.env.map(({ name, value }: { name: string; value: string }) => [name, value]),
    );
    const { hostname, port } = new URL(cluster.url);
    const env = {
      ...{ ...given, NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'), ACCOUNT: folder, WAIT_MS: '0' },
      ...{ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port, PROGRAM: 'cli/main.ts' },
    };
    expect(container.command).toEqual(['node']);
    const program = startProgram({ argv: [process.execPath, ...container.args], env });
    const { code } = await program.ended(30_000);
    return { code, stdout: program.stdout, stderr: program.stderr };
  }

  test('helm test says what is missing, one thing after the other', async () => {
    expect(await look('works')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not serve ExamSession: set crds.install'),
    });
    expect((await cluster.kubectl(['apply', '-f', 'crds/examsessions.untradex.io.yaml'])).code).toBe(0);
    await until(async () => (await cluster.call('GET', sessions('default'))).status === 200, { what: 'the resource' });
    expect(await look('works')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`no operator holds the Lease ${releaseNamespace}/untradex-operator`),
    });
    const renewTime = new Date().toISOString().replace('Z', '000Z');
    const body = {
      metadata: { name: 'untradex-operator' },
      spec: { holderIdentity: 'pod-1', renewTime, leaseDurationSeconds: 15 },
    };
    const leases = `/apis/coordination.k8s.io/v1/namespaces/${releaseNamespace}/leases`;
    expect(await cluster.call('POST', leases, { body })).toMatchObject({ status: 201 });
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    const seen = await look('works');
    expect(seen, seen.stderr).toMatchObject({
      code: 0,
      stdout: `ExamSession is served, pod-1 leads, and the image holds untradex ${version}.\n`,
    });
  });

  test('helm uninstall is refused while a session within reach needs the operator', async () => {
    expect(await look('released')).toMatchObject({ code: 0 });
    const session = (name: string, held: string[]) => ({
      ...sessionOf({ students: 10 }),
      metadata: { name, finalizers: held },
    });
    expect(await cluster.call('POST', sessions('exams-a'), { body: session('free', []) })).toMatchObject({
      status: 201,
    });
    expect(await look('released')).toMatchObject({ code: 0, stdout: 'No session is left that needs the operator.\n' });
    expect(
      await cluster.call('POST', sessions('exams-a'), { body: session('held', [finalizers.session]) }),
    ).toMatchObject({ status: 201 });
    const refused = await look('released');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('untradex is not uninstalled: these sessions still need their operator');
    expect(refused.stderr).toContain('  exams-a/held (no phase yet)\n');
    expect(refused.stderr).toContain('helm uninstall --no-hooks');
    expect(await look('released', { watchNamespaces: ['exams-a'] })).toMatchObject({ code: 1 });
    expect(await look('released', { watchNamespaces: ['exams-b'] })).toMatchObject({ code: 0 });
  });
});
