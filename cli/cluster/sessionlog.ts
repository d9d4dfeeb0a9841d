import { setTimeout as sleep } from 'node:timers/promises';
import { type Component, labelNames, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { type ContainerRef, containerLog, type LogSource } from './containerlog.ts';
import { createLineQueue } from './linequeue.ts';
import { patiently } from './patience.ts';
import type { LogLine } from './podlog.ts';

export interface SessionLogQuery {
  readonly follow: boolean;
  /** Only lines of the last so many ms. */
  readonly sinceMs: number | undefined;
  /** Lines of each pod. */
  readonly tail: number | undefined;
  /** All of them when left out. */
  readonly component: LogComponent | undefined;
}

export interface SessionLogLine extends LogLine {
  /** Without what the names of all of them begin with. */
  readonly pod: string;
}

/** Programs. What tools print (rehearse, verify) belongs to who started them. */
export const logComponents = ['redis', 'gateway', 'exporter'] as const satisfies readonly Component[];
export type LogComponent = (typeof logComponents)[number];

/** How often new pods are looked for. */
const lookMs = 2_000;
/** Lines that wait for whoever reads them; then pods are read no faster than that. */
const mostWaiting = 1_000;

/** Lines of all pods of a session: sorted by time when they are read once, as they come when they are followed. */
export function sessionLog(
  source: LogSource,
  ref: SessionRef,
  query: SessionLogQuery,
  signal: AbortSignal,
): AsyncGenerator<SessionLogLine, void, undefined> {
  return query.follow ? followed(source, ref, query, signal) : sorted(source, ref, query, signal);
}

/** Each log is in order, so of all of them only the next line is held. */
async function* sorted(source: LogSource, ref: SessionRef, query: SessionLogQuery, signal: AbortSignal) {
  const containers = await containersOf(source, ref, query);
  const open = containers.map((container) => containerLines(source, ref, container, query, signal));
  try {
    const heads = await Promise.all(open.map((lines) => lines.next()));
    for (;;) {
      const next = earliest(heads);
      if (next === -1 || signal.aborted) return;
      yield heads[next]!.value as SessionLogLine;
      heads[next] = await open[next]!.next();
    }
  } finally {
    await Promise.all(open.map((lines) => lines.return()));
  }
}

function earliest(heads: readonly IteratorResult<SessionLogLine, void>[]): number {
  let best = -1;
  for (const [index, { done, value }] of heads.entries()) {
    if (!done && (best === -1 || value.at < (heads[best]!.value as SessionLogLine).at)) best = index;
  }
  return best;
}

async function* followed(source: LogSource, ref: SessionRef, query: SessionLogQuery, signal: AbortSignal) {
  const queue = createLineQueue<SessionLogLine>(mostWaiting);
  const ended = new AbortController();
  const until = AbortSignal.any([signal, ended.signal]);
  until.addEventListener('abort', () => queue.end(), { once: true });
  if (until.aborted) queue.end();
  const readers = new Map<string, Promise<void>>();
  const failed = (error: unknown) => {
    if (!until.aborted) queue.fail(error);
  };

  async function read(container: ContainerRef, from: SessionLogQuery): Promise<void> {
    for await (const line of containerLines(source, ref, container, from, until)) await queue.put(line);
  }

  async function look(): Promise<void> {
    for (let from = query; !until.aborted; from = { ...query, sinceMs: undefined, tail: undefined }) {
      const containers = await patiently(until, () => containersOf(source, ref, query));
      const keys = new Set(containers.map(keyOf));
      for (const container of containers) {
        const key = keyOf(container);
        // One that ended stays known for as long as its pod is there: it was read to its end.
        if (!readers.has(key)) readers.set(key, read(container, from).catch(failed));
      }
      for (const key of readers.keys()) if (!keys.has(key)) readers.delete(key);
      await sleep(lookMs, undefined, { signal: until }).catch(() => {}); // The loop's condition sees the abort.
    }
  }

  const looking = look().catch(failed);
  try {
    yield* queue.items();
  } finally {
    ended.abort();
    await Promise.all([looking, ...readers.values()]);
  }
}

async function* containerLines(
  source: LogSource,
  ref: SessionRef,
  container: ContainerRef,
  { follow, sinceMs, tail }: SessionLogQuery,
  signal: AbortSignal,
): AsyncGenerator<SessionLogLine, void, undefined> {
  const pod = shortName(ref, container.pod);
  const sinceTime = sinceMs === undefined ? undefined : new Date(Date.now() - sinceMs).toISOString();
  for await (const line of containerLog(source, container, { follow, sinceTime, tailLines: tail }, signal)) {
    yield { ...line, pod };
  }
}

async function containersOf(
  { api }: LogSource,
  { namespace, uid }: SessionRef,
  { component }: SessionLogQuery,
): Promise<ContainerRef[]> {
  const components = component === undefined ? logComponents : [component];
  const labelSelector = `${labelNames.uid}=${uid},${labelNames.component} in (${components.join(',')})`;
  const { items } = await api.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector });
  return items.flatMap((pod) => containerNames(pod).map((container) => refOf(pod, container)));
}

/** Names of all containers of a pod. */
export function containerNames({ spec }: KubeObject): string[] {
  const { containers, initContainers = [] } = spec as Record<'containers' | 'initContainers', { name: string }[]>;
  return [...initContainers, ...containers].map(({ name }) => name);
}

function refOf({ metadata: { namespace, name, uid } }: KubeObject, container: string): ContainerRef {
  return { namespace: namespace!, pod: name, uid: uid!, container };
}

function keyOf({ uid, container }: ContainerRef): string {
  return `${uid}/${container}`;
}

/** All pods of a session begin with the same words. */
function shortName(ref: SessionRef, pod: string): string {
  const { base } = objectNames(ref);
  return pod.startsWith(`${base}-`) ? pod.slice(base.length + 1) : pod;
}
