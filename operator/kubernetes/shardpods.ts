import { objectNames, type SessionRef } from './names.ts';
import { isReady, isTerminating, type PodView } from './podview.ts';
import { incarnationOf, shapeOf } from './resources/redisstatefulset.ts';

/** What a shard's pod is to be made with. */
export interface WantedPods {
  /** In order of the shards. */
  readonly incarnations: readonly string[];
  /** Of the StatefulSet's template. */
  readonly shape: string | undefined;
  /** The StatefulSet's newest revision; null while its controller has not seen the newest template. */
  readonly revision: string | null;
}

/** Pods that are to be deleted, so that they are made anew with what is wanted now. */
export interface Replacement {
  /**
   * Of another incarnation: its data was given up, and nobody is sent to it. Or of an older template and not working (no
   * node, no image, keeps ending): nothing is lost by it, and a StatefulSet leaves such a pod as it is.
   */
  readonly atOnce: readonly PodView[];
  /** Of another shape, and working, as are all others: one at a time, when every shard has loaded its file. */
  readonly next: PodView | null;
}

/** Which pods are to be replaced now. Pure. */
export function podsToReplace(ref: SessionRef, pods: readonly PodView[], wanted: WantedPods): Replacement {
  const names = objectNames(ref);
  const byName = new Map(pods.map((pod) => [pod.metadata.name, pod]));
  const shards = wanted.incarnations.map((incarnation, shard) => {
    const pod = byName.get(names.redisPod(shard));
    return { pod, isForeign: pod !== undefined && incarnationOf(pod, shard) !== incarnation };
  });
  const living = shards.flatMap(({ pod, isForeign }) =>
    pod === undefined || isTerminating(pod) ? [] : [{ pod, isForeign }],
  );
  const atOnce = living.filter(({ pod, isForeign }) => isForeign || (!isWorking(pod) && isOutdated(pod, wanted)));
  const others = living.filter((one) => !atOnce.includes(one));
  const next = others.find(({ pod }) => shapeOf(pod) !== wanted.shape && isReady(pod));
  const areReady = others.length === shards.length && others.every(({ pod }) => isReady(pod));
  return { atOnce: atOnce.map(({ pod }) => pod), next: next !== undefined && areReady ? next.pod : null };
}

function isOutdated(pod: PodView, { shape, revision }: WantedPods): boolean {
  if (shapeOf(pod) !== shape) return true;
  const made = pod.metadata.labels?.['controller-revision-hash'];
  return revision !== null && made !== undefined && made !== revision;
}

/** Its process runs; it may still be loading its file. */
export function isWorking(pod: PodView): boolean {
  const containers = pod.status?.containerStatuses ?? [];
  return containers.length > 0 && containers.every(({ state }) => state?.running !== undefined);
}
