import { copyFile, open, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makePrivateDir } from './datafolder.ts';

/** A log grows to this, is then kept once as `.1`, and begins anew. */
const mostBytes = 16 * 1024 * 1024;

/** Opens a log for a child to write to: appending, so that it may be cut short under its hands. Close it after the start. */
export async function openLog(path: string): Promise<{ fd: number; close(): Promise<void> }> {
  await makePrivateDir(dirname(path));
  const file = await open(path, 'a', 0o600);
  return { fd: file.fd, close: () => file.close() };
}

/** Keeps a log bounded. Lines that are written in this very moment may be lost. */
export async function boundLog(path: string): Promise<void> {
  const size = (await stat(path).catch(() => null))?.size ?? 0;
  if (size <= mostBytes) return;
  await copyFile(path, `${path}.1`);
  await truncate(path);
}
