import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { createMint } from '#cli/studenttoken.ts';
import { examSessionCrd } from '#operator/crd.ts';
import { apiVersion, kind } from '#operator/examsession.ts';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { KubeObject, ObjectRef } from '#operator/kubernetes/runtime/api.ts';
import type { SessionStatus } from '#operator/status.ts';
import type { TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type Kind, startTestNode, type TestNode } from '#test/support/kubelet/node.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

/** A namespace whose pods are real processes, and the operator as a real process beside it. */
export interface ControllerWorld {
  readonly namespace: string;
  readonly node: TestNode;
  /** Starts one more candidate. */
  operator(env?: Readonly<Record<string, string>>): Program;
  apply(name: string, spec: object): Promise<SessionRef>;
  edit(name: string, patch: object): Promise<void>;
  session(name: string): Promise<KubeObject | null>;
  status(name: string): Promise<SessionStatus | null>;
  /** Waits for a condition to be True; the error tells all conditions. */
  condition(name: string, type: string, timeoutMs?: number): Promise<void>;
  deleteSession(name: string): Promise<void>;
  list(kind: Kind): Promise<KubeObject[]>;
  readonly configFile: string;
  /** Whose holder leads. */
  readonly lease: ObjectRef;
}

export async function installDefinition(server: TestApiServer): Promise<void> {
  await server.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: examSessionCrd() });
  const path = '/apis/untradex.io/v1alpha1/examsessions';
  await until(async () => (await server.call('GET', path)).status === 200, { what: 'the new resource' });
}

const program = join(import.meta.dirname, '../../operator/main.ts');
let worlds = 0;

export async function controllerWorld(server: TestApiServer): Promise<ControllerWorld> {
  const namespace = `exams-${++worlds}`;
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await server.call('POST', '/api/v1/namespaces', { body: { metadata: { name: namespace, labels } } });
  const node = await startTestNode(server, namespace);
  const { api } = node.space;
  const configFile = join(tmpFolder('operator'), 'operator.yaml');
  writeFileSync(
    configFile,
    JSON.stringify({
      watchNamespaces: [namespace],
      images: { untradex: 'untradex:test', redis: 'redis:test' },
      operator: { namespace },
      leaderElection: { leaseSeconds: 3 },
      ops: { port: 0 },
      verifiedLingerSeconds: 1,
      logLevel: 'debug',
    }),
  );
  const refOf = (name: string) => ({ apiVersion, kind, namespace, name });
  const session = (name: string) => api.get(refOf(name));
  const status = async (name: string) => ((await session(name))?.status ?? null) as SessionStatus | null;

  return {
    ...{ namespace, node, configFile, session, status },
    lease: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name: 'untradex-operator' },
    operator(env = {}) {
      const argv = [process.execPath, program, '--config', configFile];
      const own = { KUBECONFIG: server.kubeconfig, POD_NAME: 'operator', POD_NAMESPACE: namespace };
      const operator = startProgram({ argv, env: { ...own, ...env } });
      onScopeEnd((failed) => {
        if (failed) console.error(`the end of an operator's log:\n${operator.stdout.slice(-6_000)}${operator.stderr}`);
      });
      return operator;
    },
    async apply(name, spec) {
      const object = { apiVersion, kind, metadata: { namespace, name }, spec };
      const made = await api.apply(object as KubeObject, { manager: 'admin' });
      return { namespace, name, uid: made.metadata.uid! };
    },
    async edit(name, patch) {
      await api.patch(refOf(name), patch, { type: 'merge', manager: 'admin' });
    },
    async condition(name, type, timeoutMs = 60_000) {
      let seen: SessionStatus | null = null;
      const isTrue = async () => {
        seen = await status(name);
        return seen?.conditions.some((one) => one.type === type && one.status === 'True');
      };
      await until(isTrue, { what: `${type} of ${name}`, timeoutMs, everyMs: 100 }).catch((error: Error) => {
        const told = seen?.conditions.map((one) => `  ${one.type} ${one.status} ${one.reason}: ${one.message}`);
        throw new Error(`${error.message}\n${seen?.phase}\n${told?.join('\n')}\n${node.errors.map(String).join('\n')}`);
      });
    },
    async deleteSession(name) {
      await api.remove(refOf(name));
    },
    list: (of) => node.space.list(of),
  };
}

/** What students did: every event, and which of them were acknowledged. */
export interface Class {
  readonly sent: ReadonlyMap<string, string>;
  readonly acknowledged: ReadonlySet<string>;
  /** The last acknowledgements come in; resolves when every student has stopped. */
  stop(): Promise<void>;
}

/** Students who answer by HTTP, one event at a time, each repeated until there is a definite reply. */
export async function startClass(world: ControllerWorld, ref: SessionRef, students: number): Promise<Class> {
  const secret = await world.node.space.api.get({
    ...{ apiVersion: 'v1', kind: 'Secret', namespace: ref.namespace, name: objectNames(ref).secrets.gateway },
  });
  const { 'token.key': packed = '' } = secret!.data as Record<string, string>;
  const key = Buffer.from(Buffer.from(packed, 'base64').toString(), 'base64url');
  const mint = createMint(key, { audience: ref.name, issuer: undefined, rehearsal: false });
  const sent = new Map<string, string>();
  const acknowledged = new Set<string>();
  const stopped = new AbortController();

  async function answer(student: string): Promise<void> {
    const token = await mint.mint(student, 3_600_000);
    const writer = randomUUID().replaceAll('-', '');
    for (let seq = 1; !stopped.signal.aborted; seq++) {
      const event = { question: seq, answer: `${student} thinks ${Math.random()}` };
      const id = `${student} ${writer} ${seq}`;
      sent.set(id, JSON.stringify(event));
      if (!(await repeat(token, [{ writer, seq, event }]))) return;
      acknowledged.add(id);
      await sleep(50);
    }
  }

  /** True when it is durable; false when nothing more is taken. */
  async function repeat(token: string, events: object[]): Promise<boolean> {
    while (!stopped.signal.aborted) {
      const hosts = world.node.ready(objectNames(ref).gateway);
      const host = hosts[Math.floor(Math.random() * hosts.length)];
      const reply = host === undefined ? null : await post(host, token, events, stopped.signal);
      if (reply === 200) return true;
      if (reply === 410) return false;
      if (reply !== null && reply < 500 && reply !== 429) throw new Error(`a student got ${reply}`);
      await sleep(50);
    }
    return false;
  }

  const all = Array.from({ length: students }, (_, number) => answer(`student-${number}`));
  return {
    ...{ sent, acknowledged },
    async stop() {
      stopped.abort();
      await Promise.all(all);
    },
  };
}

async function post(host: string, token: string, events: object[], stopped: AbortSignal): Promise<number | null> {
  try {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' };
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(3_000)]);
    const reply = await fetch(`http://${host}:8080/exam/events`, {
      ...{ method: 'POST', headers, body: JSON.stringify(events), signal },
    });
    await reply.text();
    return reply.status;
  } catch {
    return null;
  }
}

/** Every row of the exported table, as `student writer seq` with its payload. */
export async function exportedRows(world: ControllerWorld, ref: SessionRef): Promise<[string, string][]> {
  const folder = await world.node.claimFolder(objectNames(ref).exportClaim);
  const database = await DuckDBInstance.create(join(folder, 'exams.duckdb'), { access_mode: 'READ_ONLY' });
  try {
    const connection = await database.connect();
    const sql = `SELECT STUDENT, WRITER, SEQ, PAYLOAD FROM EXAM_ANSWERS WHERE SESSION_UID = '${ref.uid}'`;
    const rows = (await connection.runAndReadAll(sql)).getRows();
    connection.closeSync();
    return rows.map(([student, writer, seq, payload]) => [`${student} ${writer} ${seq}`, String(payload)]);
  } finally {
    database.closeSync();
  }
}
