import { DatabaseSync } from 'node:sqlite';
import { problem } from '#queue/problem.ts';
import { type DataFolder, readText, writeJson } from './datafolder.ts';

/** Held for the life of a run. */
export interface FolderLock {
  release(): void;
}

/** A run that was killed a moment ago may still be going down: that long it is waited for. */
const waitMs = 2_000;
const sqliteBusy = 5;

/**
 * Locks the data folder for this process: two runs on one folder would start two Redis servers on one file, which
 * loses acknowledged answers. It is an exclusive SQLite transaction, since Node has no flock: the system frees it when
 * the process dies, however it dies.
 * @throws Problem `folder_in_use`, naming who has it
 */
export async function lockFolder(folder: DataFolder): Promise<FolderLock> {
  const database = new DatabaseSync(folder.lock);
  try {
    database.exec(`PRAGMA journal_mode = DELETE; PRAGMA busy_timeout = ${waitMs}; BEGIN EXCLUSIVE`);
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== sqliteBusy) throw error;
    throw inUse(folder, await readText(folder.lockHolder));
  }
  await writeJson(folder.lockHolder, { pid: process.pid, since: new Date().toISOString() });
  return {
    release: () => {
      if (database.isOpen) database.close();
    },
  };
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
