import { DatabaseSync } from 'node:sqlite';

/**
 * Takes an exclusive lock that belongs to a file's name, within this process and among all processes of this machine, or
 * returns null when somebody has it. Node has no flock; an exclusive SQLite transaction holds the operating system's
 * lock, which ends with the process, also by SIGKILL. The lock's file (empty) stays: deleting it would let two
 * processes lock two files of one name.
 * @returns the function that releases it
 */
export function takeLock(path: string): (() => void) | null {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (isBusy(error)) return null;
    throw error;
  }
  return () => database.close();
}

/** SQLITE_BUSY. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5;
}
