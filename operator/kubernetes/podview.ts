import type { V1Container, V1ContainerStatus, V1PodCondition } from '@kubernetes/client-node';
import type { KubeObject } from './runtime/object.ts';

/** A pod as the API gives it, in JSON: times are text. Only what is read here. */
export interface PodView extends KubeObject {
  readonly spec?: { readonly containers?: readonly V1Container[]; readonly volumes?: readonly PodVolume[] };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly Timed<V1PodCondition>[];
    readonly containerStatuses?: readonly ContainerView[];
  };
}

export type ContainerView = Omit<V1ContainerStatus, 'state' | 'lastState'> & {
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
};

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly signal?: number;
    readonly reason?: string;
    readonly message?: string;
    readonly finishedAt?: string;
  };
}

interface PodVolume {
  readonly name: string;
  readonly configMap?: { readonly name?: string };
}

type Timed<T> = Omit<T, 'lastTransitionTime' | 'lastProbeTime'> & { readonly lastTransitionTime?: string };

/** A pod that is told to end gets this long beyond its grace before it counts as gone: its node may be. */
const overdueMs = 60_000;

/** It is to end, though it may still work. */
export function isTerminating(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

/** It runs no more: it ended for good, or its end is long overdue because its node is away. */
export function isOver(pod: PodView, now: number): boolean {
  const { deletionTimestamp } = pod.metadata;
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return true;
  // The deletion's time is when its grace ends.
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + overdueMs < now;
}

/** Its readiness probe succeeds, and it is not told to end. */
export function isReady(pod: PodView): boolean {
  return !isTerminating(pod) && conditionOf(pod, 'Ready')?.status === 'True';
}

export function conditionOf(pod: PodView, type: string): Timed<V1PodCondition> | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}
