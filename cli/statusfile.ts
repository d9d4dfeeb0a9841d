import { setTimeout as sleep } from 'node:timers/promises';
import type { ConditionType } from '#operator/conditions.ts';
import { readJson } from '#operator/local/datafolder.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import type { SessionStatus } from '#operator/status.ts';
import type { Folder } from './folder.ts';

/** How often a status file is looked at while somebody waits for it. */
const pollMs = 200;

/** The session's status as `run` last wrote it; null before it wrote any. */
export function readStatus({ at }: Folder): Promise<LocalStatus | null> {
  return readJson<LocalStatus>(at.status);
}

/** Yields the status now and whenever it differs, until `signal` is aborted. */
export async function* followStatus(folder: Folder, signal: AbortSignal): AsyncGenerator<LocalStatus> {
  let last = '';
  while (!signal.aborted) {
    const status = await readStatus(folder);
    const text = JSON.stringify(status);
    if (status !== null && text !== last) {
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

/**
 * What a person should look at, in the words of the conditions; empty when all is well. Conditions are in the order of
 * a session's life, so the first one that does not hold is the cause of those after it. `Ready` is not asked: it does
 * not hold any more once the exam is over.
 */
export function complaints({ phase, conditions }: SessionStatus): string[] {
  const cause = conditions.find(({ type, status }) => type !== 'Ready' && type !== 'Degraded' && status === 'False');
  const trouble = conditions.filter(
    (condition) =>
      (condition.type === 'Degraded' && condition.status === 'True') ||
      (condition.type === 'Accepted' && condition.status === 'False') ||
      (phase === 'Failed' && condition === cause),
  );
  return [...new Set(trouble.map(({ message }) => message))];
}
