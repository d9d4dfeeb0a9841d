import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConditionType } from '#operator/conditions.ts';
import type { SessionStatus } from '#operator/status.ts';
import { problem } from '#queue/problem.ts';
import type { Folder } from './folder.ts';

/** What `run` writes on one machine: the session's status, and where it lives. */
export interface LocalStatus extends SessionStatus {
  readonly dataDir: string;
  /** Every process that serves students, and every Redis. */
  readonly pids: { readonly gateway: readonly number[]; readonly redis: readonly number[] };
}

/** How often a status file is looked at while somebody waits for it. */
const pollMs = 200;

/** The session's status as `run` last wrote it; undefined before it wrote any. @throws Problem `status_unreadable` */
export function readStatus({ statusFile }: Folder): LocalStatus | undefined {
  let text: string;
  try {
    text = readFileSync(statusFile, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw problem('status_unreadable', `${statusFile}: ${(cause as Error).message}`, 'mend the rights of the file', {
      cause,
    });
  }
  return JSON.parse(text) as LocalStatus;
}

/** Yields the status now and whenever it differs, until `signal` is aborted. */
export async function* followStatus(folder: Folder, signal: AbortSignal): AsyncGenerator<LocalStatus> {
  let last = '';
  while (!signal.aborted) {
    const status = readStatus(folder);
    const text = JSON.stringify(status);
    if (status !== undefined && text !== last) {
      last = text;
      yield status;
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {}); // The loop's condition sees the abort.
  }
}

/** True when the condition `type` holds. */
export function holds(status: SessionStatus, type: ConditionType): boolean {
  return status.conditions.some((condition) => condition.type === type && condition.status === 'True');
}

/** What keeps a session from going on, as its conditions tell it; empty when nothing does. */
export function complaints({ phase, conditions }: SessionStatus): string[] {
  const isTrouble = ({ type, status }: SessionStatus['conditions'][number]) => {
    if (type === 'Degraded') return status === 'True';
    if (type === 'Accepted') return status === 'False';
    return phase === 'Failed' && status === 'False';
  };
  return conditions.filter(isTrouble).map(({ type, message }) => `${type}: ${message}`);
}
