import { KubeConfig, type V1DeploymentSpec, type V1PodTemplateSpec } from '@kubernetes/client-node';
import { digestOf } from '#operator/kubernetes/digest.ts';
import { type ClusterGateways, createClusterGateways } from '#operator/kubernetes/gateways.ts';
import { objectNames, type SessionRef, selectorOf } from '#operator/kubernetes/names.ts';
import { type Api, createApi, type KindRef } from '#operator/kubernetes/runtime/api.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/object.ts';
import { identity, ownerOf, refOf, sessionOf, settings } from '#test/operator/kubernetes/gatewayparts.ts';
import type { TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';

/**
 * A namespace with the restricted profile, and the gateways of one session in it. There are no controllers: tests play
 * the Deployment's by `rollOut`, the garbage collector's by `collect`, and the autoscaler's by scaling.
 */
export interface GatewayWorld {
  readonly ref: SessionRef;
  readonly api: Api;
  /** As a new process sees it: with no memory, and a cache that was just filled. */
  open(change?: Open): Promise<Opened>;
  /** Makes the pods that the Deployment wants, ready, and removes those that it does not want. */
  rollOut(): Promise<void>;
  deployment(): Promise<Deployment | null>;
  list(kind: keyof typeof kinds): Promise<KubeObject[]>;
  /** Everything of the session's gateways, without what the API server adds by chance. */
  all(): Promise<unknown>;
}

export interface Open {
  readonly spec?: string;
  readonly version?: string;
  readonly api?: Api;
  readonly incarnation?: string;
}

export interface Opened extends ClusterGateways {
  /** Fills the cache again: as if all events had come. */
  refresh(): Promise<void>;
}

export type Deployment = KubeObject & { spec: V1DeploymentSpec };

export const kinds = {
  ConfigMap: { apiVersion: 'v1', kind: 'ConfigMap' },
  Service: { apiVersion: 'v1', kind: 'Service' },
  ServiceAccount: { apiVersion: 'v1', kind: 'ServiceAccount' },
  Pod: { apiVersion: 'v1', kind: 'Pod' },
  Deployment: { apiVersion: 'apps/v1', kind: 'Deployment' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  HorizontalPodAutoscaler: { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
  Ingress: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  /** There only after a test installed it. */
  HTTPRoute: { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
} as const satisfies Record<string, KindRef>;

const builtIn = (Object.keys(kinds) as (keyof typeof kinds)[]).filter((kind) => kind !== 'HTTPRoute');

export function apiOf(cluster: TestApiServer): Api {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(cluster.kubeconfig);
  const rate = { perSecond: 2_000, burst: 2_000 };
  const api = createApi(kubeConfig, { userAgent: 'untradex-test', strict: true, rate });
  onScopeEnd(() => api.close());
  return api;
}

let namespaces = 0;

export async function gatewayWorld(api: Api): Promise<GatewayWorld> {
  const namespace = `exams-${++namespaces}`;
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: restricted } });
  const ref = refOf({ namespace });
  const labelSelector = `app.kubernetes.io/managed-by=untradex`;
  const list = async (kind: keyof typeof kinds) =>
    (await api.list({ ...kinds[kind], namespace, labelSelector: kind === 'Pod' ? selectorText(ref) : labelSelector }))
      .items;
  const name = objectNames(ref).gateway;
  const deployment = async () => (await api.get({ ...kinds.Deployment, namespace, name })) as Deployment | null;

  async function open({ spec = '', version = settings.version, api: through = api, incarnation }: Open = {}) {
    let pods: KubeObject[] = [];
    let cached: KubeObject | null = null;
    const refresh = async () => {
      [pods, cached] = await Promise.all([list('Pod'), deployment()]);
    };
    await refresh();
    const shards = identity.shards.map((shard) => ({ ...shard, incarnation: incarnation ?? shard.incarnation }));
    const session = sessionOf(spec);
    const gateways = createClusterGateways({
      ...{ api: through, ref, owner: ownerOf(ref), settings: { ...settings, version } },
      ...{ session: () => session, identity: { value: { ...identity, shards } }, log: { warn: () => {} } },
      cache: { pods: () => pods, deployment: () => cached, statefulSet: () => null },
    });
    return { ...gateways, refresh };
  }

  async function rollOut(): Promise<void> {
    const now = await deployment();
    const { replicas = 1, template } = now?.spec ?? { replicas: 0 };
    const hash = digestOf(template ?? null);
    const pods = await list('Pod');
    const old = pods.filter(({ metadata }) => metadata.annotations?.template !== hash);
    const current = pods.filter(({ metadata }) => metadata.annotations?.template === hash);
    for (let missing = replicas - current.length; missing > 0; missing--) await makePod(template!, hash);
    for (const { metadata } of [...old, ...current.slice(replicas)])
      await api.raw('DELETE', `/api/v1/namespaces/${namespace}/pods/${metadata.name}?gracePeriodSeconds=0`);
    if (now === null) return;
    const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
    const body = { status: { ...counts, observedGeneration: now.metadata.generation } };
    await api.patch({ ...kinds.Deployment, namespace, name }, body, { type: 'merge', subresource: 'status' });
  }

  async function makePod({ metadata, spec }: V1PodTemplateSpec, hash: string): Promise<void> {
    const pod = await api.create({
      ...kinds.Pod,
      metadata: {
        ...{ name: '', namespace, generateName: `${name}-`, labels: { ...metadata?.labels } },
        annotations: { ...metadata?.annotations, template: hash },
      },
      spec,
    });
    const conditions = [{ type: 'Ready', status: 'True' }];
    const status = { status: { phase: 'Running', podIP: '127.0.0.1', conditions } };
    const at = { ...kinds.Pod, namespace, name: pod.metadata.name };
    await api.patch(at, status, { type: 'merge', subresource: 'status' });
  }

  async function all(): Promise<unknown> {
    const found = await Promise.all(builtIn.map(list));
    return found.flat().map((object) => plain(object, namespace));
  }

  return { ref, api, open, rollOut, deployment, list, all };
}

function selectorText(ref: SessionRef): string {
  return Object.entries(selectorOf(ref, 'gateway'))
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
}

/** What of an object must be the same whatever happened on the way. */
function plain({ metadata, status: _, ...rest }: KubeObject, namespace: string): unknown {
  const { name, labels, annotations, ownerReferences, generateName } = metadata;
  const object = { name: generateName ?? name, labels, annotations, ownerReferences, ...rest };
  const text = JSON.stringify(object, (key, value) => (/^clusterIPs?$/.test(key) ? undefined : value));
  // The namespace is also in what names of ConfigMaps and pods' templates are digests of.
  return JSON.parse(text.replaceAll(namespace, 'NAMESPACE').replaceAll(/\b[0-9a-f]{16}\b/g, 'DIGEST'));
}

/** An Api whose process is killed right after the `last`th write; it also counts them. */
export function dyingApi(api: Api, last: number): { readonly api: Api; readonly writes: () => number } {
  let writes = 0;
  const counted = <A extends unknown[], R>(write: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      if (writes >= last) throw new Error('killed');
      const result = await write(...args);
      if (++writes === last) throw new Error('killed');
      return result;
    };
  };
  const { apply, create, update, patch, remove } = api;
  return {
    writes: () => writes,
    api: {
      ...api,
      ...{ apply: counted(apply), create: counted(create), update: counted(update) },
      ...{ patch: counted(patch), remove: counted(remove) },
    },
  };
}
