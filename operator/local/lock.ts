import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { problem } from '#queue/problem.ts';
import { type DataFolder, readText, writeJson } from './datafolder.ts';

/** Held for the life of a run. */
export interface FolderLock {
  release(): void;
}

/** A run that was killed a moment ago may still be going down: that long it is waited for. */
const waitMs = 1_000;
const lookEveryMs = 50;
const sqliteBusy = 5;

/**
 * Locks the data folder for this process: two runs on one folder would start two Redis servers on one file, which
 * loses acknowledged answers. It is an exclusive SQLite transaction, since Node has no flock: the system frees it when
 * the process dies, however it dies.
 * @throws Problem `folder_in_use`, naming who has it
 */
export async function lockFolder(folder: DataFolder): Promise<FolderLock> {
  const until = Date.now() + waitMs;
  let database = tryLock(folder);
  while (database === null && Date.now() < until) {
    await sleep(lookEveryMs);
    database = tryLock(folder);
  }
  if (database === null) throw inUse(folder, await readText(folder.lockHolder));
  const held = database;
  await writeJson(folder.lockHolder, { pid: process.pid, since: new Date().toISOString() });
  return {
    release: () => {
      if (held.isOpen) held.close();
    },
  };
}

/** Whether somebody runs the session of this folder now. Looks for a moment; a run that starts then waits for it. */
export function isFolderInUse(folder: DataFolder): boolean {
  const database = tryLock(folder);
  database?.close();
  return database === null;
}

/** Null when another process (or another holder in this one) has it. */
function tryLock(folder: DataFolder): DatabaseSync | null {
  const database = new DatabaseSync(folder.lock);
  try {
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === sqliteBusy) return null;
    throw error;
  }
}

function inUse(folder: DataFolder, holder: string | null) {
  let who = 'another process';
  try {
    const { pid, since } = JSON.parse(holder ?? '{}') as { pid?: number; since?: string };
    if (pid !== undefined) who = `process ${pid}, since ${since}`;
  } catch {
    // The holder writes its name just after it has the lock: between the two it has none yet.
  }
  return problem(
    'folder_in_use',
    `the data folder ${folder.root} is in use by ${who}`,
    'stop that run first, or name another folder with --data',
  );
}
