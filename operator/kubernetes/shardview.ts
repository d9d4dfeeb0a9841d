import type { V1StatefulSet } from '@kubernetes/client-node';
import type { Endpoint } from '#queue/client.ts';
import type { Fault, ShardObserved } from '../platform.ts';
import { numberOf } from '../quantity.ts';
import { ports } from './clustersettings.ts';
import type { IdentityRecord } from './identity.ts';
import { type Component, objectNames, type SessionRef } from './names.ts';
import { isOver, type PodView } from './podview.ts';
import { incarnationOf } from './resources/redisstatefulset.ts';
import type { KubeObject } from './runtime/object.ts';
import type { SessionKeys } from './sessionkeys.ts';
import { type ClaimView, shardFault } from './shardfault.ts';
import { isWorking } from './shardpods.ts';

/** The shards of one session, as the caches and the identity have them. */
export interface ShardView {
  observe(): ShardObserved[];
  claims(): ClaimView[];
  /** Null while the pod has no address, and for one of another incarnation. */
  endpointOf(pod: PodView | undefined, shard: number, incarnation: string): Endpoint | null;
}

export interface ShardViewParts {
  readonly ref: SessionRef;
  readonly identity: Pick<IdentityRecord, 'value'>;
  readonly keys: Pick<SessionKeys, 'operatorPassword'>;
  readonly cache: {
    pods(component: Component): readonly KubeObject[];
    statefulSet(): KubeObject | null;
    claims(): readonly KubeObject[];
  };
  readonly now: () => number;
  /** What else is wrong with a claim. */
  readonly claimFault: (claim: ClaimView) => Fault | null;
}

/** After this somebody should look why the StatefulSet's controller makes no pod. */
const podMissingMs = 60_000;

export function createShardView({ ref, identity, keys, cache, now, claimFault }: ShardViewParts): ShardView {
  const names = objectNames(ref);
  /** By shard; when it was first seen that its pod is not there. */
  const missingSince = new Map<number, number>();

  function claims(): ClaimView[] {
    const ours = new Set(identity.value.shards.map(({ shard }) => names.redisClaim(shard)));
    return (cache.claims() as readonly ClaimView[]).filter(({ metadata }) => ours.has(metadata.name));
  }

  function observe(): ShardObserved[] {
    const time = now();
    const pods = new Map(cache.pods('redis').map((pod) => [pod.metadata.name, pod as PodView]));
    const byName = new Map(claims().map((claim) => [claim.metadata.name, claim]));
    return identity.value.shards.map(({ shard, incarnation, maxmemoryBytes }) => {
      const pod = pods.get(names.redisPod(shard));
      const claim = byName.get(names.redisClaim(shard));
      return {
        shard,
        running: pod !== undefined && isWorking(pod) && !isOver(pod, time),
        endpoint: endpointOf(pod, shard, incarnation),
        maxmemoryBytes,
        storage: storageOf(claim),
        fault: faultOf(shard, pod, claim, time),
      };
    });
  }

  /** Nobody is sent to a pod of another incarnation: it is about to go, with the answers that were given up. */
  function endpointOf(pod: PodView | undefined, shard: number, incarnation: string): Endpoint | null {
    const host = pod?.status?.podIP;
    if (pod === undefined || !host || incarnationOf(pod, shard) !== incarnation) return null;
    return { host, port: ports.redis, username: 'operator', password: keys.operatorPassword };
  }

  function faultOf(shard: number, pod: PodView | undefined, claim: ClaimView | undefined, time: number): Fault | null {
    if (pod === undefined) return podMissing(shard, time);
    missingSince.delete(shard);
    return shardFault(pod, claim, time) ?? (claim === undefined ? null : claimFault(claim));
  }

  /** A quota or a policy may forbid it, which the controller tells in events only. */
  function podMissing(shard: number, time: number): Fault | null {
    const statefulSet = cache.statefulSet();
    if (statefulSet === null || replicasOf(statefulSet) <= shard) {
      missingSince.delete(shard);
      return null;
    }
    const since = missingSince.get(shard) ?? time;
    missingSince.set(shard, since);
    if (time - since < podMissingMs) return null;
    return {
      code: 'pod_missing',
      message: `the pod ${names.redisPod(shard)} is not made: mostly a quota, a limit or a policy of the namespace forbids it`,
      remedy: `See what the events say: kubectl describe statefulset -n ${ref.namespace} ${names.redis}`,
    };
  }

  return { observe, claims, endpointOf };
}

/** How many pods are wanted. */
export function replicasOf(statefulSet: KubeObject): number {
  return (statefulSet as KubeObject & V1StatefulSet).spec?.replicas ?? 1;
}

/** What is used of it only Redis tells. */
function storageOf(claim: ClaimView | undefined): { usedBytes: null; capacityBytes: number } | null {
  const capacityBytes = numberOf(claim?.status?.capacity?.storage);
  return capacityBytes === null ? null : { usedBytes: null, capacityBytes };
}
