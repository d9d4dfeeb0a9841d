import { type ChildProcess, spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { isProblem, problem } from '#queue/problem.ts';
import {
  type AttemptOutcome,
  begun,
  eventsOf,
  exporterExit,
  type LastLine,
  resultOf,
  rootFault,
  saidFault,
  stateOfEnd,
} from '../exportend.ts';
import { faultOf } from '../fault.ts';
import type { AttemptPlan } from '../plan.ts';
import type { AttemptObserved, ExportResult, Fault } from '../platform.ts';
import { type DataFolder, makePrivateDir, readJson, writeJson } from './datafolder.ts';
import { boundLog, openLog } from './logfile.ts';
import type { ChildrenFile } from './orphans.ts';
import { exitWords } from './supervise.ts';

/**
 * The attempts to export, on one machine: a loader for each shard, then one publisher, each a process.
 *
 *     (attempt.json written) ─▶ load ─all loaded─▶ publish, verify ─▶ (outcome.json written) succeeded
 *                              └──── any that does not succeed ──▶ (outcome.json written) failed or blocked
 *
 * An attempt is frozen by its attempt.json and over by its outcome.json. One without an outcome when we start was under
 * way when we were killed: what it did is doubtful, so it has failed, and the next one begins with staging of its own.
 */
export interface LocalExporter {
  /** Begins the attempt unless it was begun before. */
  apply(attempt: AttemptPlan | null): Promise<void>;
  observe(): AttemptObserved | null;
  /** Ends what is under way; the attempt counts as interrupted. */
  stop(): Promise<void>;
}

export interface LocalExporterOptions {
  readonly folder: DataFolder;
  /** A Node program and its first arguments. */
  readonly program: readonly string[];
  readonly children: ChildrenFile;
  readonly changed: () => void;
  /** What the exporter's programs are told of an attempt: `--config`. */
  readonly configOf: (attempt: AttemptPlan) => object;
}

/** Loaders at the same time: each uses a core and holds a batch of rows. */
const loadersAtOnce = 2;
const stopGraceMs = 3_000;

export async function openLocalExporter(options: LocalExporterOptions): Promise<LocalExporter> {
  const { folder, changed } = options;
  const running = new Set<ChildProcess>();
  let latest: AttemptObserved | null = await latestAttempt(folder);
  let life: Promise<void> = Promise.resolve();
  let stopped = false;

  async function apply(attempt: AttemptPlan | null): Promise<void> {
    if (attempt === null || stopped || attempt.attempt <= (latest?.plan.attempt ?? 0)) return;
    const paths = folder.attempt(attempt.attempt);
    await makePrivateDir(paths.dir);
    await writeJson(paths.attempt, attempt);
    await writeJson(paths.plan, options.configOf(attempt));
    latest = begun(attempt);
    life = run(attempt).catch((error: unknown) => finish(attempt, 'failed', faultOf(error), null));
    changed();
  }

  async function run(attempt: AttemptPlan): Promise<void> {
    const shards = attempt.witnesses.map((witness) => witness.shard);
    const rows = new Map<number, number>();
    const total = eventsOf(attempt);
    const loader = async (): Promise<void> => {
      for (let shard = shards.shift(); shard !== undefined; shard = shards.shift()) {
        const own = shard;
        await runProgram(attempt, ['load'], ['--shard', String(own)], `load-${own}`, (line) => {
          rows.set(own, line.rows);
          show({ step: 'load', rows: sum(rows), total, rowsPerSecond: line.rowsPerSecond });
        });
      }
    };
    const loaders = Array.from({ length: loadersAtOnce }, loader);
    try {
      await Promise.all(loaders);
      const last = await runProgram(attempt, ['publish'], [], 'publish', (line) =>
        show({ step: line.step, rows: line.rows, total: line.total || total, rowsPerSecond: line.rowsPerSecond }),
      );
      const result = resultOf(last);
      const wrong = rootFault(result, attempt);
      if (wrong !== null) throw failure(wrong, 'blocked');
      await finish(attempt, 'succeeded', null, result);
    } catch (error) {
      // One that failed ends the attempt, and with it the other loaders.
      shards.length = 0;
      for (const child of running) child.kill('SIGTERM');
      await Promise.allSettled(loaders);
      await finish(attempt, isBlocking(error) ? 'blocked' : 'failed', faultOf(error), null);
    }
  }

  function show(progress: Pick<AttemptObserved, 'step' | 'rows' | 'total' | 'rowsPerSecond'>): void {
    if (latest?.state === 'running') latest = { ...latest, ...progress };
    changed();
  }

  async function finish(
    attempt: AttemptPlan,
    state: AttemptOutcome['state'],
    fault: Fault | null,
    result: ExportResult | null,
  ): Promise<void> {
    // Stopped, not failed: left without an outcome, as if we had been killed.
    if (stopped && state !== 'succeeded') return;
    const outcome: AttemptOutcome = { state, endedAt: Date.now(), fault, result };
    await writeJson(folder.attempt(attempt.attempt).outcome, outcome);
    latest = { ...(latest ?? begun(attempt)), ...outcome };
    changed();
  }

  /** Runs one program to its end and gives its last line; rejects with a Problem that says whether to try again. */
  async function runProgram(
    attempt: AttemptPlan,
    command: string[],
    more: string[],
    what: string,
    onProgress: (line: ProgressLine) => void,
  ): Promise<LastLine> {
    if (stopped) throw interrupted(attempt.attempt);
    const paths = folder.attempt(attempt.attempt);
    const log = await openLog(paths.log(what));
    const [program, ...first] = options.program;
    const args = [program!, ...first, ...command, '--config', paths.plan, ...more];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', log.fd], cwd: folder.root });
    running.add(child);
    const told: { last: LastLine | null } = { last: null };
    // At once, before anything is awaited: what died meanwhile would never tell its end to a reader that comes later.
    const over = Promise.all([
      ended(child),
      readLines(child, (line) => {
        if (line.kind === 'progress') onProgress(line as unknown as ProgressLine);
        else told.last = line as unknown as LastLine;
      }),
    ]);
    over.catch(() => {}); // Awaited below.
    await log.close();
    if (child.pid !== undefined) await options.children.add(child.pid, `exporter ${what}`);
    const [[code, signal]] = await over;
    running.delete(child);
    if (child.pid !== undefined) await options.children.remove(child.pid);
    await boundLog(paths.log(what));
    if (code === exporterExit.done && told.last?.kind === 'result') return told.last;
    throw programFailed(what, code, exitWords(code, signal), told.last, paths.log(what));
  }

  return {
    apply,
    observe: () => latest,
    async stop() {
      stopped = true;
      for (const child of running) child.kill('SIGTERM');
      const timer = setTimeout(() => {
        for (const child of running) child.kill('SIGKILL');
      }, stopGraceMs);
      await life;
      clearTimeout(timer);
    },
  };
}

interface ProgressLine {
  readonly step: 'load' | 'publish' | 'verify';
  readonly rows: number;
  readonly total: number;
  readonly rowsPerSecond: number;
}

/** Attempts that this run began, or an earlier one: the folders are the record. */
async function latestAttempt(folder: DataFolder): Promise<AttemptObserved | null> {
  const names = await readdir(folder.export.dir).catch(() => []);
  const numbers = names.flatMap((name) => /^attempt-(\d+)$/.exec(name)?.slice(1, 2) ?? []).map(Number);
  for (const number of numbers.sort((a, b) => b - a)) {
    const paths = folder.attempt(number);
    const plan = await readJson<AttemptPlan>(paths.attempt);
    if (plan === null) continue;
    let outcome = await readJson<AttemptOutcome>(paths.outcome);
    if (outcome === null) {
      outcome = { state: 'failed', endedAt: Date.now(), fault: faultOf(interrupted(number)), result: null };
      await writeJson(paths.outcome, outcome);
    }
    return { ...begun(plan), ...outcome };
  }
  return null;
}

function interrupted(attempt: number) {
  return problem(
    'attempt_interrupted',
    `attempt ${attempt} was under way when the run was ended`,
    'nothing: the next attempt begins with staging of its own',
  );
}

/** What a program's end means: its own words if it had any. `blocked` is not to be tried again by itself. */
function programFailed(what: string, code: number | null, how: string, last: LastLine | null, log: string) {
  const said = saidFault(last);
  const message = `the exporter (${what}) ended without a result (${how})`;
  const fault = said ?? { code: 'exporter_ended', message, remedy: `look at ${log}` };
  return failure(fault, stateOfEnd(code, said));
}

function failure({ code, message, remedy }: Fault, state: 'failed' | 'blocked') {
  return Object.assign(problem(code, message, remedy), { blocked: state === 'blocked' });
}

function isBlocking(error: unknown): boolean {
  return isProblem(error) && (error as { blocked?: boolean }).blocked === true;
}

/** JSON lines of a program; what is not one is not for us. Resolves at the end of its output. */
async function readLines(child: ChildProcess, onLine: (line: { kind: string }) => void): Promise<void> {
  for await (const text of createInterface({ input: child.stdout! })) {
    try {
      const line: unknown = JSON.parse(text);
      if (typeof line === 'object' && line !== null && 'kind' in line) onLine(line as { kind: string });
    } catch {
      // Not JSON: a library that prints.
    }
  }
}

function ended(child: ChildProcess): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve([code, signal]));
    child.on('error', (error) => {
      if (child.pid === undefined) reject(error);
    });
  });
}

function sum(numbers: ReadonlyMap<number, number>): number {
  return [...numbers.values()].reduce((total, number) => total + number, 0);
}
