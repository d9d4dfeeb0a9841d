import { access, link, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { problem } from '#queue/problem.ts';
import { besideOf, makePrivateFolder, syncFile, syncFolder } from '../../durablefile.ts';
import { duckdbTrouble } from './retry.ts';

/** What DuckDB may use. */
export interface DatabaseLimits {
  readonly memoryMb: number;
  readonly threads: number;
  /** Folder for what does not fit into memory; made when missing, removed when closed. */
  readonly spill: string;
}

/** An open database with one connection. */
export interface Database {
  readonly connection: DuckDBConnection;
  /** How often somebody else had it open and it was waited. */
  readonly waits: number;
  /** Runs a statement, unless the signal to stop came before. */
  run(sql: string): Promise<void>;
  /** Runs a query and gives the rows as objects; for answers of a few rows. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

export interface OpenOptions extends DatabaseLimits {
  readonly readOnly?: boolean;
  /** How long to wait while somebody else has it open, ms. */
  readonly waitMs: number;
  /** Interrupts what runs. */
  readonly signal?: AbortSignal;
}

const memory = ':memory:';
const pauseMs = 250;

/** DuckDB's lock is one between processes: a second instance on a file within one process would destroy it. */
const openHere = new Set<string>();

/**
 * Opens a database file that is there. While another process has it open, it is tried again, for `waitMs` at most;
 * then Problem `database_locked`, which names the process if DuckDB does.
 */
export async function openDatabase(path: string, options: OpenOptions): Promise<Database> {
  const end = performance.now() + options.waitMs;
  for (let waits = 0; ; waits++) {
    try {
      return await open(path, options, waits);
    } catch (error) {
      const trouble = duckdbTrouble(error);
      if (trouble.kind === 'unusable') throw unusable(path, error);
      if (trouble.kind !== 'locked') throw error;
      if (performance.now() >= end) throw locked(path, trouble.holder, trouble.pid, options.waitMs, error);
    }
    await sleep(pauseMs, null, options.signal ? { signal: options.signal } : {});
  }
}

/** A database in memory, for staging. */
export function openMemory(limits: DatabaseLimits, signal?: AbortSignal): Promise<Database> {
  return open(memory, { ...limits, waitMs: 0, ...(signal ? { signal } : {}) }, 0);
}

/**
 * Makes the database when it is missing: complete under another name, then put in place in one step, so that a crash
 * never leaves half a file where everybody looks.
 */
export async function makeDatabase(path: string, limits: DatabaseLimits): Promise<void> {
  if (await isThere(path)) return;
  const folder = dirname(path);
  await makePrivateFolder(folder);
  const beside = besideOf(path);
  const database = await open(beside, { ...limits, waitMs: 0 }, 0);
  await database.connection.run('CHECKPOINT');
  await database.close();
  await syncFile(beside);
  try {
    await link(beside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  await rm(beside, { force: true });
  await syncFolder(folder);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function open(path: string, options: OpenOptions, waits: number): Promise<Database> {
  if (openHere.has(path)) throw new Error(`Conflicting lock is held in ${process.title} (PID ${process.pid})`);
  if (path !== memory) openHere.add(path);
  try {
    return await connect(path, options, waits);
  } catch (error) {
    openHere.delete(path);
    throw error;
  }
}

async function connect(path: string, options: OpenOptions, waits: number): Promise<Database> {
  const { memoryMb, threads, spill, readOnly = false, signal } = options;
  await makePrivateFolder(spill);
  const instance = await DuckDBInstance.create(path, {
    access_mode: readOnly ? 'READ_ONLY' : 'READ_WRITE',
    memory_limit: `${memoryMb}MiB`,
    threads: String(threads),
    temp_directory: spill,
    // Nothing is fetched from anywhere; what is needed is built in.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    // In a table rows have no order. In a staged file they keep that of the log.
    preserve_insertion_order: String(path === memory),
  });
  const connection = await instance.connect();
  const interrupt = () => connection.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  let isOpen = true;
  return {
    connection,
    waits,
    async run(sql) {
      signal?.throwIfAborted();
      await connection.run(sql);
    },
    async rows(sql) {
      signal?.throwIfAborted();
      return (await connection.runAndReadAll(sql)).getRowObjectsJS();
    },
    async close() {
      if (!isOpen) return;
      isOpen = false;
      signal?.removeEventListener('abort', interrupt);
      connection.closeSync();
      instance.closeSync();
      openHere.delete(path);
      await rm(spill, { recursive: true, force: true });
    },
  };
}

function unusable(path: string, cause: unknown) {
  return problem(
    'database_unusable',
    `${path} is not a database that this DuckDB can open: ${(cause as Error).message}`,
    'Move that file away (never delete it before you know what it is), or name another one in the sink.',
    { cause },
  );
}

function locked(path: string, holder: string | null, pid: number | null, waitMs: number, cause: unknown) {
  const who = pid === null ? 'another process' : `process ${pid}${holder ? ` (${holder})` : ''}`;
  return problem(
    'database_locked',
    `${who} has ${path} open, for more than ${waitMs / 1_000} s: DuckDB has one writer, and a reader blocks it`,
    `Close it there${pid === null ? '' : ` (pid ${pid})`}; the export is tried again by itself.`,
    { cause },
  );
}
