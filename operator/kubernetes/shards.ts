import { randomUUID } from 'node:crypto';
import type { V1StatefulSet } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import type { Endpoint } from '#queue/client.ts';
import { problem } from '#queue/problem.ts';
import type { ExamSession } from '../examsession.ts';
import type { DesiredShards } from '../plan.ts';
import type { ShardObserved } from '../platform.ts';
import { createApplied } from './applied.ts';
import { createClaimGrowth } from './claimgrowth.ts';
import type { ClusterSettings } from './clustersettings.ts';
import type { ClusterShard, IdentityRecord } from './identity.ts';
import { type Component, labelNames, managedBy, objectNames, type SessionRef, selectorText } from './names.ts';
import type { PodView } from './podview.ts';
import { redisBudget } from './resources/redisbudget.ts';
import { redisConfigMap } from './resources/redisconfigmap.ts';
import { redisService } from './resources/redisservice.ts';
import {
  configNameOf,
  keepsPods,
  mendedStatefulSet,
  nextStatefulSet,
  redisStatefulSet,
  shapeOf,
} from './resources/redisstatefulset.ts';
import type { Api, KubeObject, ObjectRef } from './runtime/api.ts';
import type { SessionKeys } from './sessionkeys.ts';
import { answersPing } from './shardping.ts';
import { podsToReplace } from './shardpods.ts';
import { type RedisWishes, redisInputs, shardSizes } from './shardsizes.ts';
import { createShardView, replicasOf } from './shardview.ts';

/**
 * The shards of one session on a cluster: a StatefulSet of Redis, a pod and a claim each.
 *
 * In this order, so that each step may be the last before a crash: who the shards are is written to the identity; then
 * the configuration, a ConfigMap that never changes; then the StatefulSet, which names it; then pods that were made
 * with something older are deleted. A new process begins at the top and finds what is there.
 *
 * The number of shards never changes, nothing of them ever gets smaller, and no claim is ever deleted: a session that
 * is over has a StatefulSet of none.
 */
export interface ClusterShards {
  /** @throws Problem of the API: what can be tried again, and what must be told */
  apply(desired: DesiredShards): Promise<void>;
  observe(): Promise<ShardObserved[]>;
  /** Stops all shards; returns before they have ended. Claims, identity and secrets stay. */
  remove(): Promise<void>;
}

export interface ClusterShardsParts {
  readonly api: Api;
  readonly ref: SessionRef;
  /** The ExamSession. */
  readonly owner: KubeObject;
  readonly settings: ClusterSettings;
  readonly session: () => ExamSession;
  readonly identity: IdentityRecord;
  readonly keys: SessionKeys;
  readonly cache: {
    pods(component: Component): readonly KubeObject[];
    statefulSet(): KubeObject | null;
    claims(): readonly KubeObject[];
  };
  readonly log: Pick<Logger, 'warn'>;
  /** ms since 1970. */
  readonly now?: () => number;
  /** Whether a shard takes commands; left out: it is asked. */
  readonly isServing?: (endpoint: Endpoint) => Promise<boolean>;
}

export function createClusterShards(parts: ClusterShardsParts): ClusterShards {
  const { api, ref, owner, settings, session, identity, keys, cache, log, now = Date.now } = parts;
  const { isServing = answersPing } = parts;
  const part = { ref, owner };
  const names = objectNames(ref);
  const at: ObjectRef = { apiVersion: 'apps/v1', kind: 'StatefulSet', namespace: ref.namespace, name: names.redis };
  const applied = createApplied(api, { manager: managedBy, now });
  const settled = createSettled();
  const growth = createClaimGrowth(api, log, now);
  const view = createShardView({ ref, identity, keys, cache, now, claimFault: growth.faultOf });

  async function apply(desired: DesiredShards): Promise<void> {
    if (!desired.running) return stop(cache.statefulSet());
    if (identity.value.shards.length === 0) {
      if (desired.count === 0) return;
      await makeShards(desired);
    }
    for (const shard of desired.refill) await giveUp(shard);
    const known = cache.statefulSet() ?? (await readLive());
    const wishes: RedisWishes = session().spec.redis;
    const isKept = known !== null && keepsPods(known, { inputs: inputs(), version: settings.version }, isFree());
    const sizes = shardSizes(desired, wishes, knownMaxmemory());
    if (!isKept) await growMemory(sizes.maxmemoryBytes);

    await applied.ensure(redisService(part));
    await applied.ensure(redisBudget(part));
    const statefulSet = await ensureStatefulSet(known, { ...sizes, maxmemoryBytes: knownMaxmemory() }, wishes);
    if (!isKept || wishes.storage !== undefined) await growth.apply(view.claims(), sizes.storageBytes);
    await replacePods(statefulSet);
  }

  /** Who they are is on the cluster before any of them is. */
  function makeShards(desired: DesiredShards): Promise<void> {
    const { maxmemoryBytes } = shardSizes(desired, session().spec.redis, 0);
    return identity.update((was) => {
      if (was.shards.length > 0) return was;
      const shards = Array.from({ length: desired.count }, (_, shard) => {
        return { shard, incarnation: randomUUID(), born: false, maxmemoryBytes };
      });
      return { ...was, shards };
    });
  }

  /** The shard begins anew under another incarnation, in an empty folder beside its old one. */
  function giveUp(shard: number): Promise<void> {
    const old = identity.value.shards[shard]?.incarnation;
    return changeShards((one) =>
      one.shard === shard && one.incarnation === old ? { ...one, incarnation: randomUUID(), born: false } : one,
    );
  }

  function growMemory(maxmemoryBytes: number): Promise<void> {
    return changeShards((one) => (one.maxmemoryBytes < maxmemoryBytes ? { ...one, maxmemoryBytes } : one));
  }

  function changeShards(change: (shard: ClusterShard) => ClusterShard): Promise<void> {
    return identity.update((was) => {
      const shards = was.shards.map(change);
      return shards.every((shard, i) => shard === was.shards[i]) ? was : { ...was, shards };
    });
  }

  function knownMaxmemory(): number {
    return Math.max(0, ...identity.value.shards.map((shard) => shard.maxmemoryBytes));
  }

  /** Nothing is stored yet. */
  function isFree(): boolean {
    return identity.value.shards.every((shard) => !shard.born);
  }

  function inputs(): string {
    const { shards, images } = identity.value;
    return redisInputs(session().spec, shards.length, images.redis);
  }

  async function ensureStatefulSet(
    known: KubeObject | null,
    sizes: ReturnType<typeof shardSizes>,
    wishes: RedisWishes,
  ): Promise<KubeObject> {
    const { shards, images } = identity.value;
    const incarnations = shards.map(({ incarnation }) => incarnation);
    const configMap = redisConfigMap({ ...part, incarnations, maxmemoryBytes: sizes.maxmemoryBytes });
    const built = redisStatefulSet({
      ...{ ...part, ...sizes, incarnations, settings },
      ...{ image: images.redis, pod: wishes.pod, config: configMap.metadata.name, inputs: inputs() },
      storageClass: wishes.storageClass ?? settings.storageClass,
    });
    const withConfig = async (statefulSet: KubeObject) => {
      if (configNameOf(statefulSet) === configMap.metadata.name) await applied.ensure(configMap);
      return statefulSet;
    };
    const change = (now: KubeObject) => {
      const next = nextStatefulSet(now, built, isFree());
      return (settled.has(now) ? null : mendedStatefulSet(next ?? now, built)) ?? next;
    };
    const keep = (now: KubeObject) => {
      settled.keep(now);
      return now;
    };
    if (known !== null && change(known) === null) return keep(await withConfig(known));
    // The cache may lag: it is decided again by what is there now.
    const live = await readLive();
    if (live === null) return keep(await api.create(await withConfig(built)));
    const next = change(live);
    return keep(next === null ? await withConfig(live) : await api.update(await withConfig(next)));
  }

  /** Null when there is none. One of another session is a mistake that nothing here can mend. */
  async function readLive(): Promise<KubeObject | null> {
    const live = await api.get(at);
    if (live === null || live.metadata.labels?.[labelNames.uid] === ref.uid) return live;
    throw problem(
      'object_foreign',
      `the StatefulSet ${ref.namespace}/${names.redis} does not belong to this session`,
      'Delete the session and make it again: its new uid gives everything of it another name.',
    );
  }

  async function replacePods(statefulSet: KubeObject): Promise<void> {
    const { spec, status, metadata } = statefulSet as KubeObject & V1StatefulSet;
    const isSeen = status?.observedGeneration !== undefined && status.observedGeneration >= (metadata.generation ?? 0);
    const wanted = {
      incarnations: identity.value.shards.map(({ incarnation }) => incarnation),
      shape: shapeOf(spec!.template),
      revision: (isSeen && status.updateRevision) || null,
    };
    const cached = podsToReplace(ref, cache.pods('redis'), wanted);
    if (cached.atOnce.length === 0 && cached.next === null) return;
    const kind = { apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace };
    const live = (await api.list({ ...kind, labelSelector: selectorText(ref, 'redis') })).items as PodView[];
    const { atOnce, next } = podsToReplace(ref, live, wanted);
    const isNext = next !== null && (await areAllServing(live));
    for (const { metadata: pod } of isNext ? [...atOnce, next] : atOnce) {
      await api.remove({ ...kind, name: pod.name }, { uid: pod.uid! });
    }
  }

  async function areAllServing(pods: readonly PodView[]): Promise<boolean> {
    const byName = new Map(pods.map((pod) => [pod.metadata.name, pod]));
    const answers = identity.value.shards.map(async ({ shard, incarnation }) => {
      const endpoint = view.endpointOf(byName.get(names.redisPod(shard)), shard, incarnation);
      return endpoint !== null && (await isServing(endpoint));
    });
    return (await Promise.all(answers)).every(Boolean);
  }

  /** A StatefulSet of none, whose claims stay. The next pass looks again when somebody changed it meanwhile. */
  async function stop(known: KubeObject | null): Promise<void> {
    if (known !== null && replicasOf(known) === 0) return;
    if (known === null && identity.value.shards.length === 0) return;
    const live = await readLive();
    if (live === null || replicasOf(live) === 0) return;
    const { spec } = live as KubeObject & V1StatefulSet;
    await api.update({ ...live, spec: { ...spec, replicas: 0 } });
  }

  return { apply, observe: async () => view.observe(), remove: () => stop(null) };
}

/**
 * Remembers the generation at which an object was found or made right. A webhook may rewrite whatever is written: then
 * it is written once and no more, until somebody changes it.
 */
function createSettled() {
  let settled: { readonly uid: string | undefined; readonly generation: number } | null = null;
  return {
    has: ({ metadata: { uid, generation = 0 } }: KubeObject) =>
      settled !== null && settled.uid === uid && generation <= settled.generation,
    keep({ metadata: { uid, generation = 0 } }: KubeObject) {
      if (settled?.uid !== uid || generation > settled!.generation) settled = { uid, generation };
    },
  };
}
