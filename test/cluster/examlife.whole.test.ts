import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { compareLedger, isKept } from '#cli/compare.ts';
import { whyNoCluster } from '#test/support/cluster/choose.ts';
import type { TestCluster } from '#test/support/cluster/testcluster.ts';
import { startCluster } from '#test/support/cluster.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { installRelease, mustRunTool, type Release } from './release.ts';

/*
 * The whole life of an exam on a real cluster: installed by Helm, with images of the project's own build, rehearsed by
 * 500 students from a Job, while a gateway, a Redis and the leading operator are killed, then finalized while exporters
 * are killed; what the students saw acknowledged is compared with the table, from outside.
 */
const reason = await whyNoCluster(process.env);
if (reason !== null) console.error(`the life of an exam on a whole cluster is left out: ${reason}`);

const root = dirname(dirname(import.meta.dirname));
const namespace = 'exams';
const students = 500;
const answers = 10;

interface KubeItem {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly spec: { readonly volumeName?: string; readonly local?: { readonly path: string } };
  readonly status: { readonly phase?: string; readonly events?: { readonly durable: number } };
}

describe.skipIf(reason !== null)('the life of an exam', () => {
  let cluster: TestCluster;
  let release: Release;
  const folder = tmpFolder('examlife');
  const ledger = join(folder, 'ledger.ndjson');
  const { name, session } = exampleSession();
  let uid = '';

  beforeAll(async () => {
    cluster = await startCluster();
    release = await installRelease(cluster);
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } });
  }, 300_000);

  const kubectl = (args: readonly string[], timeoutMs = 60_000) =>
    mustRunTool(cluster.kubectl(['-n', namespace, ...args], undefined, { timeoutMs }));

  async function apply(object: object): Promise<void> {
    await mustRunTool(cluster.kubectl(['apply', '-f', '-'], stringify(object)));
  }

  async function get(what: string): Promise<KubeItem[]> {
    return (JSON.parse(await kubectl(['get', what, '-o', 'json'])) as { items: KubeItem[] }).items;
  }

  /** Ends a pod as a dead node would: at once, without a word to its programs. */
  async function kill(pod: string, where = namespace): Promise<void> {
    const at = ['-n', where, 'delete', 'pod', pod, '--grace-period=0', '--force'];
    await mustRunTool(cluster.kubectl(at));
  }

  async function killOne(part: string): Promise<void> {
    await kill(await until(() => podOf(part), { what: `a pod ${part}`, timeoutMs: 60_000 }));
  }

  async function durable(): Promise<number> {
    return (await get('exam'))[0]?.status.events?.durable ?? 0;
  }

  async function podOf(part: string): Promise<string | undefined> {
    const pods = await get('pods');
    return pods.find(({ metadata, status }) => metadata.name.includes(part) && status.phase === 'Running')?.metadata
      .name;
  }

  test('helm test finds the operator at work', async () => {
    await mustRunTool(cluster.helm(['test', release.name, '-n', release.namespace], undefined, { timeoutMs: 200_000 }));
  });

  test('the example is applied and becomes Ready', async () => {
    await apply(session);
    const startedAt = performance.now();
    await kubectl(['wait', `exam/${name}`, '--for=condition=Ready', '--timeout=180s'], 200_000);
    console.log(`Ready ${((performance.now() - startedAt) / 1_000).toFixed(1)} s after it was applied`);
    uid = (await get('exam'))[0]!.metadata.uid;
  });

  test(`${students} students rehearse from a Job while a gateway, a Redis and the leading operator are killed`, async () => {
    const plugin = [process.execPath, join(root, 'cli/main.ts'), 'rehearse', name, '-n', namespace, '--json'];
    const size = ['--students', `${students}`, '--events', `${answers}`, '--seconds', '40', '--ledger', ledger];
    const place = ['--kubeconfig', cluster.kubeconfig];
    const rehearsal = startProgram({ argv: [...plugin, ...size, ...place], cwd: root });
    const meanwhile = async (share: number, what: () => Promise<void>) => {
      await until(async () => (await durable()) > share * students * answers, { what: 'answers', timeoutMs: 120_000 });
      await what();
    };
    await meanwhile(0.05, () => killOne('-gateway-'));
    // Again and again: a pod that is deleted by force works on for a moment, beside its successor on the same volume.
    for (const [index, share] of [0.1, 0.15, 0.2, 0.25, 0.3, 0.35].entries()) {
      await meanwhile(share, () => killOne(`-redis-${index % 2}`));
    }
    await meanwhile(0.4, async () => kill(await release.leader(), release.namespace));
    await meanwhile(0.6, () => killOne('-redis-'));
    const { code } = await rehearsal.ended(240_000);
    expect(code, rehearsal.stderr).toBe(0);
    expect(JSON.parse(rehearsal.stdout)).toMatchObject({
      students,
      finished: students,
      acknowledged: students * answers,
    });
    expect(readFileSync(ledger, 'utf8').trimEnd().split('\n')).toHaveLength(students * answers);
  });

  test('it is finalized by a patch, and verified though exporters and the leader are killed', async () => {
    await kubectl(['patch', 'exam', name, '--type=merge', '-p', '{"spec":{"phase":"Finalizing"}}']);
    await killOne('-load-1-');
    await kill(await release.leader(), release.namespace);
    await killOne('-publish-');
    await kubectl(['wait', `exam/${name}`, '--for=condition=Verified', '--timeout=240s'], 250_000);
    const [line] = (await kubectl(['get', 'exam', name, '--no-headers'])).split('\n');
    expect(line).toMatch(new RegExp(`^${name} .*(Exporting|Completed) .*${students * answers} +True`));
  });

  test('every acknowledged answer is in the table once, in order, as the students sent it', async () => {
    const volume = (await get('pvc')).find(({ metadata }) => metadata.name.endsWith('-export'))!.spec.volumeName!;
    const { path } = (JSON.parse(await kubectl(['get', 'pv', volume, '-o', 'json'])) as KubeItem).spec.local!;
    const database = join(path, 'exams.duckdb');
    const found = await compareLedger({ ledger, database, table: 'EXAM_ANSWERS_REHEARSAL', sessionUid: uid });
    expect(found).toMatchObject({ acknowledged: students * answers, missing: 0, duplicated: 0, outOfOrder: 0 });
    expect(isKept(found), found.examples.join('\n')).toBe(true);
  });

  test('a session that is over is deleted, and leaves the volumes that Retain promises', async () => {
    await until(async () => (await get('exam'))[0]?.status.phase === 'Completed', {
      what: 'the end',
      timeoutMs: 60_000,
    });
    await kubectl(['delete', 'exam', name, '--timeout=120s'], 130_000);
    const kinds =
      'statefulset,deployment,job,service,configmap,secret,serviceaccount,networkpolicy,pdb,role,rolebinding,ingress,hpa';
    const ours = async () => (await get(kinds)).filter(({ metadata }) => metadata.name.startsWith(name));
    await until(async () => (await ours()).length === 0 && (await get('pods')).length === 0, {
      what: 'everything but the volumes to go',
      timeoutMs: 60_000,
    });
    const claims = (await get('pvc')).map(({ metadata }) => metadata.name.replace(/-[0-9a-f]{8}-/, '-UID-')).sort();
    expect(claims).toEqual([`${name}-UID-export`, `data-${name}-UID-redis-0`, `data-${name}-UID-redis-1`]);
  });

  test('helm uninstall leaves the definition and nothing else', async () => {
    const uninstall = ['uninstall', release.name, '-n', release.namespace, '--wait', '--timeout', '2m'];
    await mustRunTool(cluster.helm(uninstall, undefined, { timeoutMs: 150_000 }));
    const wide = 'clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding,crd';
    const inside = 'deployment,pod,service,configmap,secret,serviceaccount,role,rolebinding,lease,pdb,job';
    const names = async (args: string[]) =>
      (await mustRunTool(cluster.kubectl([...args, '-o', 'name'])))
        .split('\n')
        .filter((one) => one.includes('untradex'));
    await until(async () => (await names(['-n', release.namespace, 'get', inside])).length === 0, {
      what: 'everything in the namespace of the operator to go',
      timeoutMs: 60_000,
    });
    expect(await names(['get', wide])).toEqual([
      'customresourcedefinition.apiextensions.k8s.io/examsessions.untradex.io',
    ]);
  });
});

/** The example for rehearsals, in a size that fits two cores. */
function exampleSession() {
  const example = parse(readFileSync(join(root, 'examples/rehearsal.yaml'), 'utf8'));
  const resources = { cpu: '50m' };
  const spec = {
    ...example.spec,
    students,
    graceSeconds: 2,
    gateway: { replicas: 2, resources },
    redis: { shards: 2, resources },
    export: { resources },
  };
  const { name } = example.metadata as { name: string };
  return { name, session: { ...example, metadata: { name, namespace }, spec } };
}
