import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import type { SessionStatus } from '#operator/status.ts';
import { readStatus } from '#operator/statusschema.ts';
import { count, paint } from '../output.ts';
import type { PlaceOptions } from '../place.ts';
import { holds } from '../statusfile.ts';
import { paintPhase } from '../statusview.ts';
import { table } from '../table.ts';
import { connectCluster } from './connection.ts';
import { patiently } from './patience.ts';
import { listSessions } from './sessions.ts';

/** A session in a list. */
export interface ListedSession {
  readonly namespace: string;
  readonly name: string;
  readonly createdAt: string;
  /** What was asked for: how many students are expected. */
  readonly students: number;
  /** Null before its operator wrote one. */
  readonly status: SessionStatus | null;
}

export interface SessionList {
  /** The namespace that was looked into; null: all of them. */
  readonly namespace: string | null;
  readonly sessions: readonly ListedSession[];
}

const pollMs = 2_000;

/** The sessions now and, with `watch`, whenever something differs, until `signal` is aborted. */
export async function* sessionLists(
  options: PlaceOptions,
  { all, watch }: { readonly all: boolean; readonly watch: boolean },
  signal: AbortSignal,
): AsyncGenerator<SessionList, void, undefined> {
  const { api, namespace: own } = connectCluster(options);
  const namespace = all ? null : own;
  for (let last = ''; !signal.aborted; ) {
    const sessions = (await patiently(signal, () => listSessions(api, namespace), watch ? undefined : 0)).map(listed);
    const text = JSON.stringify(sessions);
    if (text !== last) yield { namespace, sessions };
    last = text;
    if (!watch) return;
    await sleep(pollMs, undefined, { signal }).catch(() => {}); // The loop's condition sees the abort.
  }
}

function listed({ metadata, spec, status }: KubeObject): ListedSession {
  return {
    namespace: metadata.namespace!,
    name: metadata.name,
    createdAt: metadata.creationTimestamp!,
    students: (spec as { students: number }).students,
    status: readStatus(status),
  };
}

/** The lines of a table. @param now ms since 1970, for ages */
export function sessionTable({ namespace, sessions }: SessionList, now: number): string[] {
  const titles = ['NAME', 'PHASE', 'READY', 'STUDENTS', 'CONNECTED', 'EVENTS', 'VERIFIED', 'AGE'];
  const rows = sessions.map(({ name, status, students, createdAt }) => [
    name,
    status === null ? 'new' : paintPhase(status.phase),
    yesNo(status, 'Ready'),
    count(students),
    count(status?.students.connected ?? 0),
    count(status?.events.durable ?? 0),
    yesNo(status, 'Verified'),
    age(now - Date.parse(createdAt)),
  ]);
  if (namespace !== null) return table(titles, rows);
  return table(
    ['NAMESPACE', ...titles],
    rows.map((row, index) => [sessions[index]!.namespace, ...row]),
  );
}

function yesNo(status: SessionStatus | null, type: 'Ready' | 'Verified'): string {
  const is = status !== null && holds(status, type);
  return is ? paint('green', 'yes') : 'no';
}

/** `45s`, `12m`, `5h`, `3d`, as kubectl tells ages. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
