import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { problem } from '#queue/problem.ts';

/** Where everything of one session lies on one machine. One folder, one session. */
export function dataFolder(root: string) {
  const at = (...parts: string[]) => join(resolve(root), ...parts);
  return {
    root: at(),
    /** The API: the session as it is wanted. */
    session: at('session.yaml'),
    /** What is known of it, written when something changed. */
    status: at('status.json'),
    /** Who it is, written before anything else. */
    identity: at('identity.json'),
    /** An exclusive transaction on it is held while `run` lives; the other says by whom. */
    lock: at('lock.sqlite'),
    lockHolder: at('lock.json'),
    /** Processes that were started, so that a later run can stop what a killed one left. */
    children: at('children.json'),
    log: at('run.log'),
    roster: (file: string) => at(file),
    /** The roster as it was last admissible: a broken edit takes nobody's extra time away. */
    rosterInForce: at('roster.json'),
    keys: {
      dir: at('keys'),
      token: at('keys', 'token.key'),
      receipt: at('keys', 'receipt.pem'),
      receiptPublic: at('keys', 'receipt.pub.pem'),
      redisPassword: (user: string) => at('keys', `redis-${user}.password`),
    },
    redisDir: at('redis'),
    redis: (shard: number) => ({
      dir: at('redis', String(shard)),
      config: at('redis', String(shard), 'redis.conf'),
      acl: at('redis', String(shard), 'users.acl'),
      log: at('redis', String(shard), 'redis.log'),
      appendOnlyDir: at('redis', String(shard), 'appendonlydir'),
    }),
    gateway: { dir: at('gateway'), config: at('gateway', 'config.json'), log: at('gateway', 'gateway.log') },
    export: { dir: at('export'), report: at('export', 'report.json') },
    attempt: (attempt: number) => ({
      dir: at('export', `attempt-${attempt}`),
      /** What it is, frozen; it exists from then on. */
      attempt: at('export', `attempt-${attempt}`, 'attempt.json'),
      /** The same, as the exporter's programs read it. */
      plan: at('export', `attempt-${attempt}`, 'plan.json'),
      outcome: at('export', `attempt-${attempt}`, 'outcome.json'),
      log: (what: string) => at('export', `attempt-${attempt}`, `${what}.log`),
    }),
    database: at('exams.duckdb'),
    samples: at('samples.ndjson'),
  };
}

export type DataFolder = ReturnType<typeof dataFolder>;

/** Makes a folder, and its parents, that only its owner may look into. */
export async function makePrivateDir(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/**
 * Writes a file so that after any crash it is there as it was before or as it is now, never in between, and that it
 * survives a power failure once this has returned. Nobody but the owner may read it.
 */
export async function writeAtomic(path: string, text: string): Promise<void> {
  const beside = `${path}.${process.pid}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncDir(dirname(path));
}

/** Makes a rename within a folder survive a power failure. */
async function syncDir(path: string): Promise<void> {
  const dir = await open(path, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

/** The text of a file, or null when there is none. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** What a JSON file of ours holds, or null when there is none. Problem `file_corrupt` when it is not JSON. */
export async function readJson<T>(path: string): Promise<T | null> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw problem(
      'file_corrupt',
      `${path} cannot be read: it is not JSON`,
      'put back a good copy; nothing else in the data folder depends on how it was written',
      { cause },
    );
  }
}

export function writeJson(path: string, value: unknown): Promise<void> {
  return writeAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}
