import { setTimeout as sleep } from 'node:timers/promises';
import { type Component, labelNames, objectNames } from '#operator/kubernetes/names.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem } from '#queue/problem.ts';
import type { ClusterPlace } from './clusterplace.ts';
import { createPodLogs, type PodLogQuery, type PodLogs } from './podlog.ts';

export interface SessionLogQuery {
  readonly follow: boolean;
  readonly sinceMs: number | undefined;
  /** Lines of each pod. */
  readonly tail: number | undefined;
  readonly component: Component | undefined;
}

export interface SessionLogLine {
  /** Without what all of them begin with. */
  readonly pod: string;
  readonly text: string;
}

/** How often new pods are looked for. */
const pollMs = 2_000;
/** Lines that wait for the reader; then pods are read no faster than it reads. */
const mostWaiting = 1_000;

/** Lines of all pods of a session: sorted by time when they are read once, as they come when they are followed. */
export async function* sessionLog(
  place: ClusterPlace,
  query: SessionLogQuery,
  signal: AbortSignal,
): AsyncGenerator<SessionLogLine> {
  const logs = createPodLogs(place.kubeConfig);
  try {
    if (query.follow) yield* followed(place, logs, query, signal);
    else yield* sorted(place, logs, query, signal);
  } finally {
    logs.close();
  }
}

async function* sorted(place: ClusterPlace, logs: PodLogs, query: SessionLogQuery, signal: AbortSignal) {
  const pods = await podsOf(place, query.component);
  const read = async ({ metadata }: KubeObject) => {
    const lines: { at: string; line: SessionLogLine }[] = [];
    for await (const text of startedLines(logs, podQuery(place, metadata.name, query, true), signal)) {
      const [at = '', ...rest] = text.split(' ');
      lines.push({ at, line: { pod: shortName(place, metadata.name), text: rest.join(' ') } });
    }
    return lines;
  };
  const all = (await Promise.all(pods.map(read))).flat();
  for (const { line } of all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))) yield line;
}

/** One reader a container's life: a container that was restarted is read again from the moment it was lost. */
async function* followed(place: ClusterPlace, logs: PodLogs, query: SessionLogQuery, signal: AbortSignal) {
  const waiting: SessionLogLine[] = [];
  signal.addEventListener('abort', () => wake(), { once: true });
  const reading = new Set<string>();
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  let wake = () => {};
  const read = async (pod: string, first: boolean) => {
    reading.add(pod);
    const since = first ? query : { ...query, tail: undefined, sinceMs: pollMs };
    for await (const text of startedLines(logs, podQuery(place, pod, since, false), until)) {
      waiting.push({ pod: shortName(place, pod), text });
      wake();
      while (waiting.length >= mostWaiting && !until.aborted) await sleep(10);
    }
    await sleep(pollMs, undefined, { signal: until }).catch(() => {});
    reading.delete(pod);
  };
  const known = new Set<string>();
  let failure: unknown = null;
  const look = async () => {
    while (!until.aborted) {
      for (const { metadata } of await podsOf(place, query.component)) {
        if (reading.has(metadata.name)) continue;
        const first = !known.has(metadata.name);
        known.add(metadata.name);
        void read(metadata.name, first).catch((error: unknown) => {
          failure = until.aborted ? null : error;
          wake();
        });
      }
      await sleep(pollMs, undefined, { signal: until }).catch(() => {});
    }
  };
  const looking = look().catch((error: unknown) => {
    failure = error;
    wake();
  });
  try {
    while (!signal.aborted && failure === null) {
      yield* waiting.splice(0);
      if (waiting.length > 0 || failure !== null) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== null) throw failure;
  } finally {
    ended.abort();
    await looking;
  }
}

/** A container that has not started yet has no log, and a pod may be gone by now: neither is worth an error. */
async function* startedLines(logs: PodLogs, query: PodLogQuery, signal: AbortSignal) {
  try {
    yield* logs.lines(query, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (isProblem(error) && ['api_not_found', 'api_invalid', 'api_failed'].includes(error.code)) return;
    throw error;
  }
}

async function podsOf({ api, ref }: ClusterPlace, component: Component | undefined): Promise<KubeObject[]> {
  const labels = [`${labelNames.uid}=${ref.uid}`, ...(component ? [`${labelNames.component}=${component}`] : [])];
  const query = { apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace, labelSelector: labels.join(',') };
  return (await api.list(query)).items;
}

function podQuery(
  { ref }: ClusterPlace,
  pod: string,
  { follow, sinceMs, tail }: SessionLogQuery,
  timestamps: boolean,
): PodLogQuery {
  return {
    ...{ namespace: ref.namespace, pod, timestamps, follow },
    ...(sinceMs === undefined ? {} : { sinceSeconds: Math.max(1, Math.ceil(sinceMs / 1_000)) }),
    ...(tail === undefined ? {} : { tailLines: tail }),
  };
}

/** All pods of a session begin with the same words. */
function shortName({ ref }: ClusterPlace, pod: string): string {
  const { base } = objectNames(ref);
  return pod.startsWith(`${base}-`) ? pod.slice(base.length + 1) : pod;
}
