import { setTimeout as sleep } from 'node:timers/promises';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { createLogPosition } from './logtime.ts';
import { patiently } from './patience.ts';
import type { LogLine, PodLogs } from './podlog.ts';

/** One container of one pod; another pod of the same name is not meant. */
export interface ContainerRef {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
}

export interface ContainerLogQuery {
  /** Goes on until the pod is gone or over. */
  readonly follow: boolean;
  readonly sinceTime?: string | undefined;
  readonly tailLines?: number | undefined;
  /** Between two looks, ms; 500 when left out. */
  readonly pauseMs?: number | undefined;
}

export interface LogSource {
  readonly api: Api;
  readonly logs: PodLogs;
}

/**
 * A container's log over all its lives. Nobody tells whether lines end because the container did or because the
 * connection broke; so each time the pod is looked at:
 *
 *     waiting ─starts▶ running ─lines end▶ (look) ─still running▶ read on from the last line
 *                                             ├─ended▶ read once more from the last line: that is all of it
 *                                             └─restarted▶ read the rest of the life before, then this one
 *
 * Of lives before the last one Kubernetes keeps no log, so those that came and went between two looks are lost; each
 * look is half a second after the end of what was read.
 */
export async function* containerLog(
  { api, logs }: LogSource,
  { uid, ...ref }: ContainerRef,
  { follow, sinceTime, tailLines, pauseMs = 500 }: ContainerLogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine, void, undefined> {
  const position = createLogPosition();
  let life = -1;
  /** Of this life everything was read: the last read began after its end. */
  let whole = false;
  const read = (more: { follow?: boolean; previous?: boolean }) => {
    const from = position.sinceTime === undefined ? { sinceTime, tailLines } : { sinceTime: position.sinceTime };
    return position.fresh(logs.lines({ ...ref, ...from, ...more }, signal));
  };
  while (!signal.aborted) {
    const pod = await patiently(signal, () => api.get({ ...podKind, namespace: ref.namespace, name: ref.pod }));
    const seen = pod?.metadata.uid === uid ? stateOf(pod, ref.container) : null;
    if (seen === null) return;
    const restarted = life >= 0 && seen.life > life;
    if (restarted && !(whole && seen.life === life + 1)) yield* read({ previous: true });
    if (seen.life > life) whole = false;
    life = seen.life;
    if (seen.started && !whole) {
      whole = seen.ended;
      yield* read({ follow: follow && !seen.ended });
    }
    if (!follow || seen.over) return;
    await sleep(pauseMs, undefined, { signal }).catch(() => {}); // The loop's condition sees the abort.
  }
}

const podKind = { apiVersion: 'v1', kind: 'Pod' } as const;

interface ContainerState {
  /** How often it was restarted before. */
  readonly life: number;
  /** It has a log. */
  readonly started: boolean;
  readonly ended: boolean;
  /** It has ended and will not be started again. */
  readonly over: boolean;
}

interface PodStatus {
  readonly phase?: string;
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
  readonly state?: { readonly running?: object; readonly terminated?: object };
  readonly lastState?: { readonly terminated?: object };
}

function stateOf({ metadata, status }: KubeObject, container: string): ContainerState {
  const { phase, containerStatuses = [], initContainerStatuses = [] } = (status ?? {}) as PodStatus;
  const found = [...containerStatuses, ...initContainerStatuses].find(({ name }) => name === container);
  const running = found?.state?.running !== undefined;
  const ran = found?.state?.terminated !== undefined || found?.lastState?.terminated !== undefined;
  const gone = phase === 'Succeeded' || phase === 'Failed' || metadata.deletionTimestamp !== undefined;
  return { life: found?.restartCount ?? 0, started: running || ran, ended: ran && !running, over: gone && !running };
}
