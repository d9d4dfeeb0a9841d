import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SignJWT } from 'jose';
import { parseDocument } from 'yaml';
import { createExamClient } from '#client/client.ts';
import type { ClientCallbacks, ExamClient } from '#client/examclient.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { nodeConnect } from '#client/nodesocket.ts';
import type { Outbox } from '#client/outbox.ts';
import type { ConditionType } from '#operator/conditions.ts';
import { type DataFolder, dataFolder, readText, writeAtomic } from '#operator/local/datafolder.ts';
import { endOrphans } from '#operator/local/orphans.ts';
import type { RunOptions } from '#operator/local/run.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import type { Phase } from '#operator/status.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** A session's folder, and runs of it as processes of their own. */
export interface Session {
  readonly folder: DataFolder;
  /** The file that `-f` names. */
  readonly file: string;
  start(options?: Partial<RunOptions>): Run;
  /** Changes a field of the session in the data folder, as `finalize` does. */
  edit(path: readonly string[], value: unknown): Promise<void>;
  /** Changes a field of the spec in the file that `-f` names. */
  set(field: string, value: unknown): void;
  /** A student's client, not yet open. It is closed at the end of the test. */
  student(name: string, url: string, more?: ClientCallbacks & { outbox?: Outbox }): Promise<ExamClient>;
}

export interface Run {
  readonly program: Program;
  /** The last status that it told. */
  readonly status: LocalStatus | undefined;
  /** Waits for a status that `test` likes, from the last one on that was waited for: events come in order. */
  until(test: (status: LocalStatus) => boolean, what: string, timeoutMs?: number): Promise<LocalStatus>;
  phase(phase: Phase, timeoutMs?: number): Promise<LocalStatus>;
  /** SIGKILL, and nothing of it is waited for but its end. */
  kill(): Promise<void>;
  /** SIGTERM; waits until it has stopped everything. */
  stop(): Promise<void>;
}

export const programs = { gateway: [resolve('gateway/main.ts')], exporter: [resolve('exporter/main.ts')] };
const program = resolve('test/operator/local/runprogram.ts');

/** @param spec lines of the spec; one gateway and two shards unless they say otherwise */
export function newSession(...spec: string[]): Session {
  const root = tmpFolder('run');
  const folder = dataFolder(join(root, 'data'));
  const file = join(root, 'session.yaml');
  const gateways = spec.some((line) => line.startsWith('gateway:')) ? [] : ['gateway: {replicas: 1}'];
  const fields = ['students: 40', 'graceSeconds: 1', 'redis: {shards: 2}', ...gateways, ...spec];
  const lines = fields.map((field) => `  ${field}`).join('\n');
  writeFileSync(
    file,
    `apiVersion: untradex.io/v1alpha1\nkind: ExamSession\nmetadata: {name: algebra}\nspec:\n${lines}\n`,
  );
  // A test that fails leaves what a killed run leaves.
  onScopeEnd(async () => void (await endOrphans(folder)));
  return {
    folder,
    file,
    start: (options = {}) => {
      const all = { file, dataDir: folder.root, port: 0, programs, ...options };
      return runOf(startProgram({ argv: [process.execPath, program, JSON.stringify(all)] }));
    },
    async edit(path, value) {
      const document = parseDocument((await readText(folder.session))!);
      document.setIn(path, value);
      await writeAtomic(folder.session, document.toString());
    },
    set(field, value) {
      const document = parseDocument(readFileSync(file, 'utf8'));
      document.setIn(['spec', field], value);
      writeFileSync(file, document.toString());
    },
    async student(name, url, { outbox = memoryOutbox(), ...callbacks } = {}) {
      const token = await tokenOf(folder, name);
      const options = {
        url,
        token,
        outbox,
        connect: nodeConnect(),
        sha256: nodeSha256,
        startSpreadMs: 0,
        ...callbacks,
      };
      const client = createExamClient(options);
      onScopeEnd(() => client.close());
      return client;
    },
  };
}

async function tokenOf(folder: DataFolder, student: string): Promise<string> {
  const key = Buffer.from(readFileSync(folder.keys.token, 'utf8'), 'base64url');
  const jwt = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(student).setAudience('algebra');
  return jwt.setExpirationTime('1h').sign(key);
}

function runOf(program: Program): Run {
  let from = 0;
  const run: Run = {
    program,
    get status() {
      return program.lines.findLast((line) => 'phase' in line) as LocalStatus | undefined;
    },
    until: async (test, what, timeoutMs = 15_000) => {
      const find = (line: Record<string, unknown>) => {
        const index = program.lines.indexOf(line);
        if (index < from || !('phase' in line) || !test(line as unknown as LocalStatus)) return false;
        from = index;
        return true;
      };
      return (await program.line(find, what, timeoutMs)) as unknown as LocalStatus;
    },
    phase: (phase, timeoutMs) => run.until((status) => status.phase === phase, `the phase ${phase}`, timeoutMs),
    async kill() {
      program.kill('SIGKILL');
      await program.ended();
    },
    async stop() {
      program.kill('SIGTERM');
      await program.ended(20_000);
    },
  };
  return run;
}

export function condition({ conditions }: LocalStatus, type: ConditionType) {
  return conditions.find((one) => one.type === type)!;
}

/** One answer of a student, waited for until it is durable. */
export async function answer(session: Session, url: string, student: string, text: string): Promise<void> {
  const client = await session.student(student, url);
  await client.open();
  await client.settled(await client.submit({ text }));
  await client.close();
}
