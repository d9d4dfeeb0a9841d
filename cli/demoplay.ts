import { dataFolder } from '#operator/local/datafolder.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import { type Kill, planKills, runChaos } from './chaos.ts';
import { compareLedger } from './compare.ts';
import { type DemoResult, makeDemoResult } from './demoresult.ts';
import { demoName, writeDemoSession } from './demosession.ts';
import { exportedDatabase, exporterConfigOf, readExported } from './exported.ts';
import { startExportProgress } from './exportprogress.ts';
import { openFolder } from './folder.ts';
import { openLedger } from './ledger.ts';
import { count, note, time } from './output.ts';
import { showPlay } from './playprogress.ts';
import { findPrograms } from './programs.ts';
import { type RunProcess, startRunProcess } from './runprocess.ts';
import { setSessionField } from './sessionfile.ts';
import { holds } from './statusfile.ts';
import { type Played, playStudents, studentIds } from './students.ts';
import { openMint } from './studenttoken.ts';

export interface DemoOptions {
  readonly students: number;
  readonly seconds: number;
  readonly events: number;
  readonly gateways: number;
  readonly shards: number;
  readonly kills: number;
  readonly port: number;
  readonly seed: number;
  readonly folder: string;
  readonly ledger: string;
  /** spec.export; left out: DuckDB. */
  readonly target?: object;
  readonly signal: AbortSignal;
}

/** Bounds of the waits, ms. */
const within = { active: 60_000, receipts: 60_000, completed: 300_000 } as const;

/** Plays the demo from start to proof. However it ends, the processes it started are gone then. */
export async function playDemo(options: DemoOptions): Promise<DemoResult> {
  const started = performance.now();
  writeDemoSession(options.folder, options);
  const run = startRunProcess({
    cli: findPrograms().cli,
    args: ['--data', options.folder, '--port', String(options.port)],
  });
  try {
    note(`seed ${options.seed}, folder ${options.folder}`);
    const active = await run.until((status) => status.phase === 'Active' && status.url !== null, {
      what: 'the start',
      timeoutMs: within.active,
      signal: options.signal,
    });
    note(`${options.gateways} gateways and ${options.shards} shards are up at ${active.url}`);
    const { played, killed } = await playExam(options, run, active);
    options.signal.throwIfAborted();
    note(`${count(played.finished)} of ${count(played.students)} students have finished`);
    const completed = await finalizeDemo(options, run);
    await run.stop();
    return await proveDemo(options, { played, killed, ...completed, started });
  } finally {
    await run.stop();
  }
}

/** The exam itself: students answer while gateways and Redis are killed. */
async function playExam(
  options: DemoOptions,
  run: RunProcess,
  { url, receiptPublicKey }: LocalStatus,
): Promise<{ played: Played; killed: Kill[] }> {
  const { seed, signal } = options;
  const durationMs = options.seconds * 1000;
  const mint = openMint(await openFolder(options.folder, demoName));
  const ledger = openLedger(options.ledger, 'fresh');
  const play = playStudents({
    students: studentIds(options.students),
    url: url!,
    token: (student) => mint.mint(student, 4 * 3_600_000),
    durationMs,
    events: options.events,
    settleMs: within.receipts,
    seed,
    ledger,
    receiptPublicKey,
    signal,
  });
  const shown = showPlay(play, { students: options.students, events: options.events });
  const chaos = runChaos({
    plan: planKills(options.kills, durationMs, seed),
    seed,
    signal,
    pids: () => run.status?.pids ?? { gateway: [], redis: [] },
    onKill: ({ target, pid, atMs }) => shown.say(`killed ${target} ${pid} after ${time(atMs)}`),
  });
  try {
    const [played, killed] = await Promise.all([play.done, chaos]);
    return { played, killed };
  } finally {
    shown.stop();
    ledger.close();
  }
}

/** What `untradex finalize --wait` does: ask, and wait for the verdict. */
async function finalizeDemo(options: DemoOptions, run: RunProcess): Promise<{ status: LocalStatus; exportMs: number }> {
  await setSessionField(dataFolder(options.folder).session, ['spec', 'phase'], 'Finalizing');
  note('finalizing: seal, export, verify');
  const wait = { what: 'the export', timeoutMs: within.completed, signal: options.signal };
  const progress = startExportProgress();
  const unlisten = run.onStatus(progress.show);
  try {
    await run.until((status) => status.phase === 'Exporting' || status.phase === 'Completed', wait);
    const began = performance.now();
    const status = await run.until(({ phase }) => phase === 'Completed', wait);
    return { status, exportMs: performance.now() - began };
  } finally {
    unlisten();
    progress.stop();
  }
}

interface Completed {
  readonly played: Played;
  readonly killed: readonly Kill[];
  readonly status: LocalStatus;
  readonly exportMs: number;
  readonly started: number;
}

/** Compares what the students saw with the database, which nobody else has open any more. */
async function proveDemo(
  options: DemoOptions,
  { played, killed, status, exportMs, started }: Completed,
): Promise<DemoResult> {
  const { ledger, seed } = options;
  const folder = await openFolder(options.folder, demoName);
  const config = exporterConfigOf(folder, folder.identity!, await readExported(folder));
  const database = exportedDatabase(config);
  const found = await compareLedger({
    ledger,
    database,
    table: config.plan.table,
    sessionUid: status.uid,
    uniquePayloads: true,
  });
  return makeDemoResult({
    played,
    killed,
    found,
    verified: holds(status, 'Verified'),
    exportRowsPerSecond: status.export?.rowsPerSecond || found.exported / (exportMs / 1000),
    seconds: (performance.now() - started) / 1000,
    seed,
    root: status.redis.root,
    database: typeof database === 'string' ? database : config.target,
    report: status.export?.report ?? null,
    ledger,
  });
}
