import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { examSessionCrd } from '#operator/crd.ts';
import { apiVersion, kind } from '#operator/examsession.ts';
import type { SessionStatus } from '#operator/status.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

/*
 * Many sessions that wait, in a cluster with much else, on an API server alone. Complaints about other operators:
 * memory that grows with the cluster, hot loops, writes that change nothing, and a new object that waits for all others.
 */
const sessions = 300;
const others = 1_000;
const namespace = 'exams';
const collection = `/apis/untradex.io/v1alpha1/namespaces/${namespace}/examsessions`;
const idleMs = 30_000;
/** Writes that say that it is there, and nothing about a session. */
const lease = /\/leases\//;

test(`${sessions} sessions that wait, among ${2 * others} objects of others, cost memory once and nothing after`, async () => {
  const folder = tmpFolder('scale');
  const audit = openAudit(join(folder, 'audit'));
  const server = await startApiServer({ extraArgs: audit.args });
  await prepare(server);
  const config = writeConfig(folder);

  const first = await startOperator(server, config);
  const alone = memoryOf(first);
  console.log(`the operator alone, among ${2 * others} objects of others: ${alone.text}`);
  expect(await first.metric('cached_objects', 'kind="Pod"')).toBe(0);

  const filledAt = performance.now();
  await inParallel(sessions, (number) => create(server, `exam-${number}`));
  await until(async () => (await first.metric('sessions', 'phase="Pending"')) === sessions, {
    ...{ what: 'a pass over every session', timeoutMs: 60_000, everyMs: 100 },
  });
  const full = memoryOf(first);
  const each = Math.round((full.bytes - alone.bytes) / sessions / 1_024);
  console.log(`with ${sessions} sessions, known after ${seconds(filledAt)} s: ${full.text}, ${each} KiB a session`);
  expect(full.bytes).toBeLessThan(400 * 1_048_576);

  const newAt = performance.now();
  await create(server, 'newcomer');
  await until(async () => (await statusOf(server, 'newcomer'))?.phase === 'Pending', {
    ...{ what: 'the first pass over a new session', timeoutMs: 20_000 },
  });
  console.log(`a new session among them: its first status after ${seconds(newAt)} s`);
  expect(performance.now() - newAt).toBeLessThan(5_000);

  await sleep(1_000);
  const [before, passes, cpu] = [audit.writes().length, await first.passes(), first.cpuSeconds()];
  await sleep(idleMs);
  const idle = audit
    .writes()
    .slice(before)
    .filter((write) => !lease.test(write));
  const [idlePasses, used] = [(await first.passes()) - passes, first.cpuSeconds() - cpu];
  console.log(`${idleMs / 1_000} s idle: ${idle.length} writes, ${idlePasses} passes, ${used.toFixed(2)} s of CPU`);
  expect(idle).toEqual([]);
  expect(idlePasses).toBeLessThan(sessions);

  first.program.kill('SIGTERM');
  expect(await first.program.ended()).toEqual({ code: 0, signal: null });
  const again = audit.writes().length;
  const restartedAt = performance.now();
  const second = await startOperator(server, config);
  await until(async () => (await second.metric('sessions', 'phase="Pending"')) === sessions + 1, {
    ...{ what: 'a pass over every session', timeoutMs: 60_000, everyMs: 100 },
  });
  const settled = seconds(restartedAt);
  await sleep(1_000);
  const rewritten = audit
    .writes()
    .slice(again)
    .filter((write) => !lease.test(write));
  console.log(
    `a new process has settled after ${settled} s, with ${rewritten.length} writes: ${memoryOf(second).text}`,
  );
  expect(rewritten).toEqual([]);
  expect(performance.now() - restartedAt).toBeLessThan(30_000);
});

/** What the operator writes, as the API server has it in its audit log. */
function openAudit(file: string) {
  const policy = `${file}-policy.yaml`;
  const rules = [
    { level: 'None', verbs: ['get', 'list', 'watch'] },
    { level: 'Metadata', omitStages: ['RequestReceived'] },
  ];
  writeFileSync(policy, stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }));
  return {
    args: [`--audit-log-path=${file}`, `--audit-policy-file=${policy}`],
    /** `PATCH /apis/...`, in order; the last second may be missing. */
    writes(): string[] {
      const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
      const events = lines.map((line) => JSON.parse(line) as { userAgent?: string; verb: string; requestURI: string });
      const ours = events.filter(({ userAgent }) => userAgent?.startsWith('untradex-operator/'));
      return ours.map(({ verb, requestURI }) => `${verb} ${requestURI}`);
    },
  };
}

/** The definition, and much that is not ours. */
async function prepare(server: TestApiServer): Promise<void> {
  await server.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: examSessionCrd() });
  await server.call('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace } } });
  await until(async () => (await server.call('GET', collection)).status === 200, { what: 'the new resource' });
  const data = { text: 'x'.repeat(4_096) };
  const spec = { containers: [{ name: 'any', image: 'any' }] };
  await inParallel(others, async (number) => {
    const metadata = { name: `other-${number}`, labels: { 'app.kubernetes.io/managed-by': 'somebody' } };
    await mustPost(server, `/api/v1/namespaces/${namespace}/configmaps`, { metadata, data });
    await mustPost(server, `/api/v1/namespaces/${namespace}/pods`, { metadata, spec });
  });
}

async function create(server: TestApiServer, name: string): Promise<void> {
  const spec = { students: 10_000, opensAt: '2099-01-01T00:00:00Z', closesAt: '2099-01-01T02:00:00Z' };
  await mustPost(server, collection, { apiVersion, kind, metadata: { name }, spec });
}

async function mustPost(server: TestApiServer, path: string, body: object): Promise<void> {
  const reply = await server.call('POST', path, { body });
  if (reply.status !== 201) throw new Error(String(reply.body.message));
}

async function statusOf(server: TestApiServer, name: string): Promise<SessionStatus | undefined> {
  return (await server.call('GET', `${collection}/${name}`)).body.status as SessionStatus | undefined;
}

async function inParallel(count: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

function writeConfig(folder: string): string {
  const file = join(folder, 'operator.yaml');
  const images = { untradex: 'untradex:test', redis: 'redis:test' };
  const operator = { namespace };
  writeFileSync(file, JSON.stringify({ images, operator, ops: { port: 0 } }));
  return file;
}

interface Operator {
  readonly program: Program;
  /** 0 when it is not told. */
  metric(name: string, label?: string): Promise<number>;
  passes(): Promise<number>;
  cpuSeconds(): number;
}

/** Resolves when it leads. */
async function startOperator(server: TestApiServer, config: string): Promise<Operator> {
  const env = { KUBECONFIG: server.kubeconfig, POD_NAME: 'operator', POD_NAMESPACE: namespace };
  const program = startProgram({ argv: [process.execPath, 'operator/main.ts', '--config', config], env });
  onScopeEnd((failed) => {
    if (failed) console.error(`the end of an operator's log:\n${program.stdout.slice(-3_000)}${program.stderr}`);
  });
  const { opsPort } = await program.line<{ opsPort: number }>(({ opsPort }) => opsPort > 0, 'its port', 30_000);
  await program.line(({ msg }) => msg === 'leads', 'its lead', 30_000);
  const read = async (name: string, label: string) => {
    const text = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`untradex_operator_${name}{`) && line.includes(label));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  return {
    program,
    metric: (name, label = '') => read(name, label),
    passes: () => read('reconciles_total', ''),
    cpuSeconds() {
      const fields = readFileSync(`/proc/${program.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
  };
}

function memoryOf({ program }: Operator) {
  const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))![1]);
  return { bytes: kib * 1_024, text: `${Math.round(kib / 1_024)} MiB of memory` };
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1);
}
