import { KubeConfig, type V1Deployment, type V1Job, type V1Pod, type V1StatefulSet } from '@kubernetes/client-node';
import { type Api, createApi, type KindRef, type KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem } from '#queue/problem.ts';
import type { TestApiServer } from '../apiserver.ts';
import { onScopeEnd } from '../cleanup.ts';

/** What the missing controllers and the node see of a namespace in one look, and how they write. */
export interface Seen {
  readonly statefulSets: readonly Of<V1StatefulSet>[];
  readonly deployments: readonly Of<V1Deployment>[];
  readonly jobs: readonly Of<V1Job>[];
  readonly pods: readonly Of<V1Pod>[];
  readonly claims: readonly KubeObject[];
}

/** Dates are text here: this is JSON. */
export type Of<T> = KubeObject & Omit<T, 'metadata' | 'apiVersion' | 'kind'>;

export const kinds = {
  StatefulSet: { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  Deployment: { apiVersion: 'apps/v1', kind: 'Deployment' },
  Job: { apiVersion: 'batch/v1', kind: 'Job' },
  Pod: { apiVersion: 'v1', kind: 'Pod' },
  PersistentVolumeClaim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  ConfigMap: { apiVersion: 'v1', kind: 'ConfigMap' },
  Secret: { apiVersion: 'v1', kind: 'Secret' },
  Service: { apiVersion: 'v1', kind: 'Service' },
  ServiceAccount: { apiVersion: 'v1', kind: 'ServiceAccount' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  HorizontalPodAutoscaler: { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  Ingress: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  ExamSession: { apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession' },
} as const satisfies Record<string, KindRef>;

/** Every kind that a session may have something of. */
export const dependents = [
  ...['StatefulSet', 'Deployment', 'Job', 'Pod', 'ConfigMap', 'Secret', 'Service', 'ServiceAccount'],
  ...['PodDisruptionBudget', 'HorizontalPodAutoscaler', 'NetworkPolicy', 'Ingress'],
] as readonly (keyof typeof kinds)[];

export interface TestNamespace {
  readonly api: Api;
  readonly namespace: string;
  list(kind: keyof typeof kinds): Promise<KubeObject[]>;
  look(): Promise<Seen>;
  create(object: KubeObject): Promise<void>;
  /** Writes the status when it differs from the one that was seen. */
  setStatus(object: KubeObject, status: object): Promise<void>;
  /** As the object was seen. @param now without a grace: a pod's process has ended */
  remove(object: KubeObject, now?: boolean): Promise<void>;
}

export function openNamespace(server: TestApiServer, namespace: string): TestNamespace {
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  const api = createApi(config, { userAgent: 'test-node', rate: { perSecond: 5_000, burst: 5_000 } });
  onScopeEnd(() => api.close());
  const list = async (kind: keyof typeof kinds) => (await api.list({ ...kinds[kind], namespace })).items;

  return {
    ...{ api, namespace, list },
    async look() {
      // Pods last: whoever makes them sees its own from the look before.
      const [statefulSets, deployments, jobs, claims] = await Promise.all([
        list('StatefulSet'),
        list('Deployment'),
        list('Job'),
        list('PersistentVolumeClaim'),
      ]);
      return { statefulSets, deployments, jobs, claims, pods: await list('Pod') } as unknown as Seen;
    },
    create: (object) => unless(['api_exists', 'api_terminating'], api.create(object)),
    async setStatus({ apiVersion, kind, metadata: { name }, status: old }, status) {
      if (contains(old, status)) return;
      const ref = { apiVersion, kind, namespace, name };
      await unless(['api_not_found'], api.patch(ref, { status }, { type: 'merge', subresource: 'status' }));
    },
    async remove({ apiVersion, kind, metadata: { name, uid } }, now = false) {
      if (!now) return unless(['api_conflict'], api.remove({ apiVersion, kind, namespace, name }, { uid: uid! }));
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid } };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      await unless(['api_conflict', 'api_not_found'], api.raw('DELETE', path, body));
    },
  };
}

/** What a controller does not mind, since it looks again. */
export async function unless(codes: readonly string[], write: Promise<unknown>): Promise<void> {
  await write.catch((error: unknown) => {
    if (!isProblem(error) || !codes.includes(error.code)) throw error;
  });
}

/** Everything of `part` stands in `whole`. */
function contains(whole: unknown, part: unknown): boolean {
  if (typeof part !== 'object' || part === null) return (whole ?? 0) === (part ?? 0);
  if (Array.isArray(part)) {
    if (!Array.isArray(whole)) return part.length === 0;
    return whole.length === part.length && part.every((one, at) => contains(whole[at], one));
  }
  return Object.entries(part).every(([key, value]) => contains((whole as Record<string, unknown>)?.[key], value));
}
