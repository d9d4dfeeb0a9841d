import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDocument, stringify } from 'yaml';
import { openFolder } from '#cli/folder.ts';
import { openMint } from '#cli/studenttoken.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { descendants } from '#test/support/descendants.ts';
import { freePort } from '#test/support/freeport.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { until } from '#test/support/until.ts';
import type { Victim } from './schedule.ts';

/** One session run by the real program, as an admin with a shell has it: start, look, kill, edit. */
export interface Exam {
  readonly name: string;
  readonly port: number;
  readonly dataDir: string;
  /** The running (or last) `run`. */
  readonly program: Program;
  /** What the running `run` printed last; null before its first line. */
  readonly status: LocalStatus | null;
  start(withFile: boolean): void;
  /** The living processes of a kind, oldest first, without those that were killed. Seen from outside, by the system. */
  alive(victim: Victim): number[];
  /** SIGKILL, after it hung for `hangsMs`. For `run`, resolves when it is gone. */
  kill(victim: Victim, pid: number, hangsMs: number): Promise<void>;
  /** SIGTERM. For `run`, resolves when it has ended by it. */
  stop(victim: Victim, pid: number): Promise<void>;
  finalize(by: 'command' | 'edit'): Promise<void>;
  token(student: string): Promise<string>;
}

export interface ExamOptions {
  readonly folder: string;
  readonly students: number;
  readonly gateways: number;
  readonly shards: number;
}

const name = 'history';
const cli = ['cli/main.ts'];
/** Inherited by everything that `run` starts, so that it is known also when its parent is dead. */
const variable = 'UNTRADEX_TEST_HISTORY';
const commandWithinMs = 20_000;
/** It may be frozen when it is asked, and gateways drain. */
const stopWithinMs = 60_000;

export async function makeExam({ folder, students, gateways, shards }: ExamOptions): Promise<Exam> {
  const file = join(folder, 'given.yaml');
  const dataDir = join(folder, 'data');
  const spec = { students, graceSeconds: 1, gateway: { replicas: gateways }, redis: { shards } };
  writeFileSync(file, stringify({ apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession', metadata: { name }, spec }));
  const port = await freePort();
  const mark = `${process.pid}-${process.hrtime.bigint()}`;
  const killed = new Set<number>();
  const tokens = new Map<string, Promise<string>>();
  let program: Program | null = null;
  const current = () => {
    if (program === null) throw new Error('the exam was not started');
    return program;
  };
  const ours = () => descendants(`${variable}=${mark}`).filter(({ command }) => command.includes(dataDir));
  onScopeEnd(() =>
    send(
      ours().map(({ pid }) => pid),
      'SIGKILL',
    ),
  );

  return {
    name,
    port,
    dataDir,
    get program() {
      return current();
    },
    get status() {
      return (current().lines.at(-1) ?? null) as LocalStatus | null;
    },
    start(withFile) {
      const given = withFile || !existsSync(join(dataDir, 'session.yaml')) ? ['-f', file] : [];
      const args = ['run', ...given, '--data', dataDir, '--port', String(port), '--json'];
      program = startProgram({ argv: [process.execPath, ...cli, ...args], env: { [variable]: mark } });
    },
    alive(victim) {
      if (victim === 'run') return current().exit === undefined ? [current().pid] : [];
      return ours().flatMap(({ pid, command }) => (kindOf(command) === victim && !killed.has(pid) ? [pid] : []));
    },
    async kill(victim, pid, hangsMs) {
      killed.add(pid);
      if (hangsMs > 0) {
        send([pid], 'SIGSTOP');
        await sleep(hangsMs);
      }
      send([pid], 'SIGKILL');
      if (victim === 'run') await current().ended();
    },
    async stop(victim, pid) {
      send([pid], 'SIGTERM');
      if (victim !== 'run') return;
      const { code, signal } = await current().ended(stopWithinMs);
      // Or it was just completed; or had just been started, and does not listen to signals yet.
      if (code === 143 || code === 0 || signal === 'SIGTERM') return;
      throw new Error(`run, told to stop, ended with ${code ?? signal}: ${current().stderr}`);
    },
    async finalize(by) {
      if (by === 'edit') return setPhase(join(dataDir, 'session.yaml'));
      const argv = [process.execPath, ...cli, 'finalize', name, '--data', dataDir];
      const command = startProgram({ argv, env: { [variable]: mark } });
      const { code } = await command.ended(commandWithinMs);
      if (code !== 0) throw new Error(`finalize exited with ${code}: ${command.stderr}`);
    },
    token(student) {
      const known = tokens.get(student);
      if (known !== undefined) return known;
      const made = openFolder(dataDir, name).then((opened) => openMint(opened).mint(student, 3_600_000));
      tokens.set(student, made);
      made.catch(() => tokens.delete(student)); // The session has no key yet: asked again.
      return made;
    },
  };
}

/** What a process is, by its command line. */
function kindOf(command: string): Victim | null {
  if (/(redis|valkey)-server/.test(command)) return 'redis';
  if (/gateway\/main\.ts/.test(command)) return 'gateway';
  if (/exporter\/main\.ts/.test(command)) return 'exporter';
  return null;
}

/** Edits the session as an admin with an editor does: another file in its place, at once. */
function setPhase(path: string): void {
  const document = parseDocument(readFileSync(path, 'utf8'));
  document.setIn(['spec', 'phase'], 'Finalizing');
  writeFileSync(`${path}.edited`, document.toString());
  renameSync(`${path}.edited`, path);
}

export function send(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended in this moment.
    }
  }
}

/** Nothing of the exam runs any more, seen from outside. */
export async function nothingLeft(exam: Exam): Promise<void> {
  const left = () => (['gateway', 'redis', 'exporter', 'run'] as const).flatMap((victim) => exam.alive(victim));
  await until(() => left().length === 0, { what: 'the end of every process of the exam', timeoutMs: 5_000 });
}
