import type { V1PersistentVolumeClaim, V1StatefulSet, V1StatefulSetSpec } from '@kubernetes/client-node';
import { digestOf } from '#operator/kubernetes/digest.ts';
import { type IdentityRecord, openIdentity } from '#operator/kubernetes/identity.ts';
import { labelNames, objectNames, type SessionRef, selectorOf } from '#operator/kubernetes/names.ts';
import type { Api, KindRef, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { ensureSessionKeys, type SessionKeys } from '#operator/kubernetes/sessionkeys.ts';
import { type ClusterShards, createClusterShards } from '#operator/kubernetes/shards.ts';
import type { RedisWishes } from '#operator/kubernetes/shardsizes.ts';
import type { Endpoint } from '#queue/client.ts';
import { ownerOf, refOf, settings } from '#test/operator/kubernetes/gatewayparts.ts';
import { sessionWith } from '#test/operator/kubernetes/shardparts.ts';

/**
 * A namespace with the restricted profile, and the shards of one session in it. There are no controllers and no nodes:
 * {@link ShardWorld.play} does what the StatefulSet's controller, the scheduler, the volumes' and the nodes' would.
 */
export interface ShardWorld {
  readonly ref: SessionRef;
  readonly owner: KubeObject;
  readonly api: Api;
  /** As a new process sees it: with no memory, and a cache that was just filled. */
  open(change?: Open): Promise<Opened>;
  /** Makes the claims and pods that are missing, running and ready, and takes away those that are too many. */
  play(): Promise<void>;
  statefulSet(): Promise<StatefulSet | null>;
  pods(): Promise<KubeObject[]>;
  list(kind: keyof typeof kinds): Promise<KubeObject[]>;
  /** Sets fields of a pod's status. */
  tell(shard: number, status: object): Promise<void>;
  /** Keeps that every shard was initialised, as the platform does. */
  bear(): Promise<void>;
  /** Everything of the session, without what is there by chance. */
  all(): Promise<unknown>;
}

export interface Open {
  readonly redis?: RedisWishes;
  readonly students?: number;
  readonly version?: string;
  readonly images?: { readonly untradex: string; readonly redis: string };
  readonly api?: Api;
  readonly now?: () => number;
  /** Whether shards have loaded their files: there is nothing to ask here. */
  readonly isServing?: (endpoint: Endpoint) => Promise<boolean>;
}

export interface Opened extends ClusterShards {
  readonly identity: IdentityRecord;
  readonly keys: SessionKeys;
  /** Fills the cache again: as if all events had come. */
  refresh(): Promise<void>;
}

export type StatefulSet = KubeObject & { spec: V1StatefulSetSpec } & Pick<V1StatefulSet, 'status'>;

export const kinds = {
  ConfigMap: { apiVersion: 'v1', kind: 'ConfigMap' },
  Secret: { apiVersion: 'v1', kind: 'Secret' },
  Service: { apiVersion: 'v1', kind: 'Service' },
  Pod: { apiVersion: 'v1', kind: 'Pod' },
  PersistentVolumeClaim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  StatefulSet: { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
} as const satisfies Record<string, KindRef>;

export const classes = { grows: 'grows', fixed: 'fixed' } as const;

/** One class whose volumes may grow, and one whose may not. */
export async function makeClasses(api: Api): Promise<void> {
  for (const name of Object.values(classes)) {
    const allowVolumeExpansion = name === classes.grows;
    const object = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name } };
    await api.create({ ...object, provisioner: 'example.com/none', allowVolumeExpansion });
  }
}

let namespaces = 0;

export async function shardWorld(api: Api): Promise<ShardWorld> {
  const namespace = `shards-${++namespaces}`;
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: restricted } });
  const ref = refOf({ namespace });
  const owner = ownerOf(ref);
  const names = objectNames(ref);
  const labelSelector = `${labelNames.uid}=${ref.uid}`;
  const list = async (kind: keyof typeof kinds) => (await api.list({ ...kinds[kind], namespace, labelSelector })).items;
  const at = (kind: keyof typeof kinds, name: string) => ({ ...kinds[kind], namespace, name });
  const statefulSet = async () => (await api.get(at('StatefulSet', names.redis))) as StatefulSet | null;
  const status = (kind: keyof typeof kinds, name: string, body: object) =>
    api.patch(at(kind, name), { status: body }, { type: 'merge', subresource: 'status' });

  async function open({
    redis,
    students,
    version = settings.version,
    images,
    api: through = api,
    now,
    isServing = async () => true,
  }: Open = {}) {
    let [pods, claims, cached]: [KubeObject[], KubeObject[], KubeObject | null] = [[], [], null];
    const refresh = async () => {
      [pods, claims, cached] = await Promise.all([list('Pod'), list('PersistentVolumeClaim'), statefulSet()]);
    };
    await refresh();
    const session = sessionWith({ storageClass: classes.grows, ...redis }, students);
    const identity = await openIdentity(through, ref, owner, images ?? settings.images);
    const keys = await ensureSessionKeys(through, ref, owner, identity);
    const shards = createClusterShards({
      ...{ api: through, ref, owner, identity, keys, session: () => session, settings: { ...settings, version } },
      ...{ log: { warn: () => {} }, ...(now && { now }), isServing },
      cache: { pods: () => pods, claims: () => claims, statefulSet: () => cached },
    });
    return { ...shards, identity, keys, refresh };
  }

  async function play(): Promise<void> {
    const now = await statefulSet();
    const replicas = now?.spec.replicas ?? 0;
    const there = new Set((await list('Pod')).map(({ metadata }) => metadata.name));
    for (let shard = 0; shard < replicas; shard++) {
      await makeClaim(now!.spec, shard);
      if (there.delete(names.redisPod(shard))) continue;
      await makePod(now!.spec, shard);
      await run(shard);
    }
    for (const name of there) await api.remove(at('Pod', name));
    if (now === null) return;
    const observedGeneration = now.metadata.generation;
    await status('StatefulSet', names.redis, { replicas, observedGeneration, updateRevision: revisionOf(now.spec) });
  }

  async function makeClaim({ volumeClaimTemplates }: V1StatefulSetSpec, shard: number): Promise<void> {
    const [template] = volumeClaimTemplates as V1PersistentVolumeClaim[];
    const name = names.redisClaim(shard);
    if ((await api.get(at('PersistentVolumeClaim', name))) !== null) return;
    const { labels, finalizers } = template!.metadata!;
    const metadata = { name, namespace, labels: { ...labels, ...selectorOf(ref, 'redis') }, finalizers: finalizers! };
    const spec = { ...template!.spec, volumeName: `volume-${shard}` };
    await api.create({ ...kinds.PersistentVolumeClaim, metadata, spec });
    const storage = template!.spec!.resources!.requests!.storage;
    await status('PersistentVolumeClaim', name, { phase: 'Bound', capacity: { storage } });
  }

  async function makePod(spec: V1StatefulSetSpec, shard: number): Promise<void> {
    const { metadata, spec: pod } = spec.template;
    const name = names.redisPod(shard);
    const labels = {
      ...metadata?.labels,
      ...{ 'apps.kubernetes.io/pod-index': String(shard), 'statefulset.kubernetes.io/pod-name': name },
      'controller-revision-hash': revisionOf(spec),
    };
    const data = { name: 'data', persistentVolumeClaim: { claimName: names.redisClaim(shard) } };
    const made = { ...pod, volumes: [...(pod?.volumes ?? []), data] };
    const annotations = { ...metadata?.annotations };
    await api.create({ ...kinds.Pod, metadata: { name, namespace, labels, annotations }, spec: made });
  }

  function run(shard: number): Promise<void> {
    return tell(shard, {
      phase: 'Running',
      podIP: `10.0.0.${shard + 1}`,
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        {
          ...{ name: 'redis', image: 'redis', imageID: 'redis', ready: true, restartCount: 0 },
          state: { running: { startedAt: '2026-05-04T10:00:00Z' } },
        },
      ],
    });
  }

  async function tell(shard: number, body: object): Promise<void> {
    await status('Pod', names.redisPod(shard), body);
  }

  async function bear(): Promise<void> {
    const { identity } = await open();
    await identity.update((was) => ({ ...was, shards: was.shards.map((shard) => ({ ...shard, born: true })) }));
  }

  async function all(): Promise<unknown> {
    const found = await Promise.all((Object.keys(kinds) as (keyof typeof kinds)[]).map(list));
    return plain(found.flat(), namespace);
  }

  return { ref, owner, api, open, play, statefulSet, pods: () => list('Pod'), list, tell, bear, all };
}

function revisionOf({ template }: V1StatefulSetSpec): string {
  return digestOf(template);
}

/** What must be the same whatever happened on the way: not what was made at random, and digests of it. */
function plain(objects: readonly KubeObject[], namespace: string): unknown {
  const texts = objects.map(({ metadata, status: _, kind, ...rest }) => {
    const { name, labels, annotations, ownerReferences, finalizers } = metadata;
    const object = { kind, name, labels, annotations, ownerReferences, finalizers, ...rest };
    const random = (key: string) => kind === 'Secret' && key === 'data';
    return JSON.stringify(object, (key, value) =>
      /^clusterIPs?$/.test(key) ? undefined : random(key) ? Object.keys(value) : value,
    )
      .replaceAll(namespace, 'NAMESPACE')
      .replaceAll(labels?.[labelNames.uid] ?? '', 'UID')
      .replaceAll(/-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----/g, 'PUBLIC KEY')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'INCARNATION')
      .replaceAll(/\b[0-9a-f]{16}\b/g, 'DIGEST');
  });
  return texts.sort().map((text) => JSON.parse(text));
}
