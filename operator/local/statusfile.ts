import type { SessionStatus } from '../status.ts';
import { type DataFolder, readJson, writeJson } from './datafolder.ts';

/** DIR/status.json: the session's status, with what is true of one machine only. */
export interface LocalStatus extends SessionStatus {
  readonly dataDir: string;
  /** Every gateway process that serves students, and every Redis. */
  readonly pids: { readonly gateway: readonly number[]; readonly redis: readonly number[] };
}

export interface StatusFile {
  /** As last written, without what is local. */
  readonly status: SessionStatus | null;
  write(status: SessionStatus, pids: LocalStatus['pids']): Promise<LocalStatus>;
}

/** @param uid the session's: a status of another one, left in the folder, is none */
export async function openStatusFile(folder: DataFolder, uid: string): Promise<StatusFile> {
  const found = await readJson<LocalStatus>(folder.status);
  let status = found?.uid === uid ? withoutLocal(found) : null;
  return {
    get status() {
      return status;
    },
    async write(next, pids) {
      const { name, uid, phase, url, ...rest } = next;
      const written: LocalStatus = { name, uid, phase, url, dataDir: folder.root, pids, ...rest };
      await writeJson(folder.status, written);
      status = next;
      return written;
    },
  };
}

function withoutLocal({ dataDir: _, pids: __, ...status }: LocalStatus): SessionStatus {
  return status;
}
