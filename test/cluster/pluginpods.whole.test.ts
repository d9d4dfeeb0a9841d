import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '#cli/cluster/connection.ts';
import { createPodLogs } from '#cli/cluster/podlog.ts';
import { sessionLog } from '#cli/cluster/sessionlog.ts';
import type { RehearsalResult } from '#cli/rehearsal.ts';
import type { Verdict } from '#cli/verdict.ts';
import { labelsOf, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { whyNoCluster } from '#test/support/cluster/choose.ts';
import type { TestCluster } from '#test/support/cluster/testcluster.ts';
import { startCluster } from '#test/support/cluster.ts';
import { startPostgres, type TestPostgres } from '#test/support/postgres.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { type Ended, type Plugin, pluginFor } from './plugin.ts';
import { installRelease, mustRunTool, type Release } from './release.ts';

/*
 * What `kubectl untradex` does by pods, on a whole cluster: two rehearsals, one exported to DuckDB on a volume, the
 * other to a PostgreSQL server beside the cluster where pods reach this machine.
 */
const reason = await whyNoCluster(process.env);
if (reason !== null) console.error(`commands that need pods are left out: ${reason}`);

const namespace = 'maths';
const password = 'the password of biology';
let cluster: TestCluster;
let release: Release;
let plugin: Plugin;
let postgres: TestPostgres | null = null;
const ledgers = tmpFolder('ledgers');
const names = () => (postgres === null ? ['algebra'] : ['algebra', 'biology']);
const ledgerOf = (name: string) => join(ledgers, `${name}.ndjson`);
const kubectl = (...args: string[]) => mustRunTool(cluster.kubectl(args));
const run = (command: string, name: string, ...more: string[]) => plugin.run(command, name, '-n', namespace, ...more);
const apply = (object: object) => mustRunTool(cluster.kubectl(['apply', '-f', '-'], JSON.stringify(object)));

/** Both sessions at the same time. */
const each = (work: (name: string) => Promise<void>) => Promise.all(names().map(work));

async function refOf(name: string): Promise<SessionRef> {
  return {
    namespace,
    name,
    uid: await kubectl('-n', namespace, 'get', 'exam', name, '-o', 'jsonpath={.metadata.uid}'),
  };
}

async function makeSession(name: string, sink: object): Promise<void> {
  const small = { resources: { cpu: '50m' } };
  await apply({
    ...{ apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession', metadata: { name, namespace } },
    spec: {
      ...{ students: 20, rehearsal: true, graceSeconds: 1, gateway: { minReplicas: 1, ...small }, redis: small },
      export: { ...sink, ...small },
    },
  });
}

/** A server beside the cluster that pods reach, and a session that goes there. */
async function makePostgresSession(host: string): Promise<TestPostgres> {
  const server = await startPostgres({ extraArgs: ['-c', 'listen_addresses=*'] });
  appendFileSync(join(server.dir, 'pg_hba.conf'), 'host all all all scram-sha-256\n');
  await server.sql(`select pg_reload_conf(); create role exporter login password '${password}'`);
  await server.sql('create database exams owner exporter');
  const metadata = { name: 'database', namespace };
  await apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { username: 'exporter', password } });
  const place = { host, port: server.port, database: 'exams', credentialsSecret: 'database', tls: { mode: 'Off' } };
  await makeSession('biology', { postgres: place });
  return server;
}

describe.skipIf(reason !== null)('the plugin on a whole cluster', () => {
  beforeAll(async () => {
    cluster = await startCluster();
    release = await installRelease(cluster, ['replicaCount=1']);
    plugin = pluginFor(cluster.kubeconfig);
    await kubectl('create', 'namespace', namespace);
    await makeSession('algebra', {});
    if (cluster.hostAddress !== null) postgres = await makePostgresSession(cluster.hostAddress);
    await each(async (name) => {
      await kubectl('-n', namespace, 'wait', '--for=condition=Ready', `exam/${name}`, '--timeout=55s');
    });
  }, 300_000);

  test('rehearse plays in the cluster, and brings the ledger here', async () => {
    await each(async (name) => {
      const args = ['--students', '20', '--seconds', '2', '--events', '5', '--ledger', ledgerOf(name), '--json'];
      const { code, stdout, stderr } = await run('rehearse', name, ...args);
      expect(code, stderr).toBe(0);
      const result = JSON.parse(stdout) as RehearsalResult;
      expect(result).toMatchObject({ acknowledged: 100, finished: 20, ledger: ledgerOf(name) });
      expect(readFileSync(ledgerOf(name), 'utf8').trimEnd().split('\n')).toHaveLength(100);
    });
    expect(await kubectl('-n', namespace, 'get', 'jobs', '-o', 'name')).toBe('');
  });

  test('Ctrl-C ends a rehearsal at once, and takes its Job away', async () => {
    const playing = plugin.start('rehearse', 'algebra', '-n', namespace, '--students', '5', '--seconds', '60');
    const jobs = () => kubectl('-n', namespace, 'get', 'jobs', '-o', 'name');
    await until(async () => (await jobs()) !== '', { what: 'the Job', timeoutMs: 20_000 });
    playing.kill('SIGINT');
    expect(await playing.ended(10_000)).toMatchObject({ code: 130 });
    expect(playing.stderr).not.toContain('defect');
    await until(async () => (await jobs()) === '', { what: 'the end of the Job', timeoutMs: 20_000 });
  });

  test('logs shows all parts once, and with -f those of a pod that took the place of another', async () => {
    const { code, stdout, stderr } = await run('logs', 'algebra', '--timestamps');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^gateway-\S+ +\d{4}-\S+Z {2}\{/m);
    expect(stdout).toMatch(/^redis-0 /m);
    const times = stdout
      .trimEnd()
      .split('\n')
      .map((line) => /\S+ +(\S+)/.exec(line)![1]!);
    expect(times).toEqual(times.toSorted());
    expect((await run('logs', 'algebra', '--part', 'redis', '--tail', '1')).stdout.trimEnd().split('\n')).toHaveLength(
      1,
    );

    const following = plugin.start('logs', 'algebra', '-n', namespace, '-f', '--part', 'gateway');
    const pods = () => new Set([...following.stdout.matchAll(/^(gateway-\S+)/gm)].map(([, pod]) => pod));
    const labels = 'app.kubernetes.io/component=gateway,untradex.io/session=algebra';
    const old = (await kubectl('-n', namespace, 'get', 'pods', '-l', labels, '-o', 'name')).trim().split('\n').length;
    await until(() => pods().size === old, { what: 'lines of the gateways', timeoutMs: 20_000 });
    await kubectl('-n', namespace, 'delete', 'pod', '--wait=false', '-l', labels);
    await until(() => pods().size > old, { what: 'lines of a successor', timeoutMs: 60_000 });
    following.kill('SIGINT');
    expect(await following.ended(5_000)).toMatchObject({ code: 130 });
  });

  test('a log is followed over the restarts of its container, and no line is missing or there twice', async () => {
    const ref: SessionRef = { namespace, name: 'lives', uid: '9d9f0e6c-4a8e-4f0c-9f60-3d0a4c2f4b11' };
    const [lives, lines] = [3, 400];
    await apply(mortalPod(ref, lines));
    const stop = new AbortController();
    const connection = connectCluster({ kubeconfig: cluster.kubeconfig });
    const logs = createPodLogs(connection);
    const seen: string[] = [];
    const query = { follow: true, sinceMs: undefined, tail: undefined, component: undefined };
    for await (const { text } of sessionLog({ api: connection.api, logs }, ref, query, stop.signal)) {
      seen.push(text);
      if (text === `life ${lives} line ${lines}`) stop.abort();
    }
    logs.close();
    connection.api.close();
    const all = Array.from(
      { length: lives * lines },
      (_, i) => `life ${Math.floor(i / lines) + 1} line ${(i % lines) + 1}`,
    );
    expect(seen).toEqual(all);
    await kubectl('-n', namespace, 'delete', 'pod', 'lives', '--wait=false');
  });

  test('finalize --wait ends with the proof', async () => {
    await each(async (name) => {
      const { code, stdout, stderr } = await run('finalize', name, '--wait', '--timeout', '55s');
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(new RegExp(`^VERIFIED ${name}: \\d+ events exported, root [0-9a-f]{64}$`, 'm'));
    });
  });

  test('report and verify read what was exported, and a ledger is compared here', async () => {
    const more = join(ledgers, 'more.ndjson');
    const invented = { student: 'nobody', writer: 'a-writer-of-nobody', seq: 1, sha256: 'a'.repeat(64) };
    writeFileSync(more, `${readFileSync(ledgerOf('algebra'), 'utf8')}${JSON.stringify(invented)}\n`);
    const [shown, wrong] = await Promise.all([
      run('verify', 'algebra'),
      run('verify', 'algebra', '--json', '--ledger', more),
      each(async (name) => {
        const verifying = run('verify', name, '--json', '--ledger', ledgerOf(name));
        const report = await run('report', name, '-o', 'json');
        expect(report.code, report.stderr).toBe(0);
        const { rows } = JSON.parse(report.stdout) as { rows: number };
        expect(JSON.parse(report.stdout)).toMatchObject({ verified: true, session: { name } });
        const { verdict } = await verified(await verifying, 0);
        expect(verdict.rows.rows).toBe(rows);
        const right = { missing: 0, duplicated: 0, outOfOrder: 0, wrongBytes: 0 };
        expect(verdict.ledger).toMatchObject({ acknowledged: 100, ...right });
      }),
    ]);
    expect(shown.stdout, shown.stderr).toMatch(/^algebra {2}VERIFIED$/m);
    const { verdict } = await verified(wrong, 1);
    expect(verdict.ledger).toMatchObject({ acknowledged: 101, missing: 1 });
  });

  test('verify waits for a node, says what it waits for, and finds what somebody changed in the table', async () => {
    if (postgres === null) return;
    const change = `update "EXAM_ANSWERS_REHEARSAL" set "PAYLOAD" = '"changed"' where "ORDER_NO" = 2 and "STUDENT" =
      (select min("STUDENT") from "EXAM_ANSWERS_REHEARSAL")`;
    await postgres.sql(change, 'exams');
    const node = (await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}')).trim();
    await kubectl('cordon', node);
    const verifying = plugin.start('verify', 'biology', '-n', namespace, '--json', '--ledger', ledgerOf('biology'));
    await until(() => verifying.stderr.includes('has not started: 0/1 nodes are available'), {
      ...{ what: 'the reason', timeoutMs: 30_000 },
    });
    await kubectl('uncordon', node);
    const exit = await verifying.ended(40_000);
    const { verdict } = await verified({ ...exit, stdout: verifying.stdout, stderr: verifying.stderr }, 1);
    expect(verdict.rows.root).not.toBe(verdict.sealedRoot);
    expect(verdict.ledger).toMatchObject({ missing: 0, wrongBytes: 1 });
  });

  test('a support bundle has the logs of all parts and of the operator, and nothing that the Secrets hold', async () => {
    const folder = join(tmpFolder('bundle'), 'bundle');
    const { code, stderr } = await run('support-bundle', names().at(-1)!, '-o', folder);
    expect(code, stderr).toBe(0);
    const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const files = paths.map(({ parentPath, name }) => join(parentPath, name));
    const { base } = objectNames(await refOf(names().at(-1)!));
    expect(files).toEqual(expect.arrayContaining([expect.stringMatching(`logs/${base}-publish-1-\\w+.exporter.log$`)]));
    expect(files).toEqual(
      expect.arrayContaining([expect.stringContaining(`operator/${release.namespace}/logs/untradex-operator-`)]),
    );
    const all = files.map((file) => readFileSync(file, 'utf8')).join('\n');
    const { items } = JSON.parse(await kubectl('-n', namespace, 'get', 'secrets', '-o', 'json')) as {
      items: { data: Record<string, string> }[];
    };
    const values = items.flatMap(({ data }) => Object.entries(data).filter(([key]) => key !== 'username'));
    expect(values.length).toBeGreaterThan(5);
    const leaked = values.filter(
      ([, value]) => all.includes(value) || all.includes(Buffer.from(value, 'base64').toString().trim()),
    );
    expect(leaked.map(([key]) => key)).toEqual([]);
  });
});

async function verified(ended: Ended, code: number): Promise<{ verdict: Verdict }> {
  expect(ended.code, ended.stderr).toBe(code);
  return { verdict: JSON.parse(ended.stdout) as Verdict };
}

/** A container that counts, ends badly, and is started again, as a gateway of a session that is none. */
function mortalPod(ref: SessionRef, lines: number): object {
  const script = `const fs = require('node:fs');
    const life = fs.existsSync('/tmp/life') ? Number(fs.readFileSync('/tmp/life')) + 1 : 1;
    fs.writeFileSync('/tmp/life', String(life));
    for (let i = 1; i <= ${lines}; i++) console.log('life ' + life + ' line ' + i);
    process.exitCode = 1;`;
  return {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: { name: 'lives', namespace, labels: labelsOf(ref, 'gateway') },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          ...{ name: 'mortal', image: release.images.untradex, command: ['node', '-e', script] },
          volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
        },
      ],
      volumes: [{ name: 'tmp', emptyDir: {} }],
    },
  };
}
