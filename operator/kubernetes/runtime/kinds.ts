import { problem } from '#queue/problem.ts';

export interface KindRef {
  /** `v1`, `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
}

/** How a kind is named in paths and in RBAC rules. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/**
 * The kinds that an operator here meets. A table, so that nothing has to be discovered before the first request, and
 * a kind that is missing is found by the first test.
 */
const plurals: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: {
    Pod: 'pods',
    Service: 'services',
    ConfigMap: 'configmaps',
    Secret: 'secrets',
    ServiceAccount: 'serviceaccounts',
    PersistentVolumeClaim: 'persistentvolumeclaims',
    PersistentVolume: 'persistentvolumes',
    Event: 'events',
    Namespace: 'namespaces',
    Node: 'nodes',
    Endpoints: 'endpoints',
    ResourceQuota: 'resourcequotas',
  },
  'apps/v1': { StatefulSet: 'statefulsets', Deployment: 'deployments', ReplicaSet: 'replicasets' },
  'batch/v1': { Job: 'jobs' },
  'policy/v1': { PodDisruptionBudget: 'poddisruptionbudgets' },
  'networking.k8s.io/v1': { NetworkPolicy: 'networkpolicies', Ingress: 'ingresses' },
  'gateway.networking.k8s.io/v1': { HTTPRoute: 'httproutes' },
  'autoscaling/v2': { HorizontalPodAutoscaler: 'horizontalpodautoscalers' },
  'coordination.k8s.io/v1': { Lease: 'leases' },
  'discovery.k8s.io/v1': { EndpointSlice: 'endpointslices' },
  'rbac.authorization.k8s.io/v1': {
    Role: 'roles',
    RoleBinding: 'rolebindings',
    ClusterRole: 'clusterroles',
    ClusterRoleBinding: 'clusterrolebindings',
  },
  'storage.k8s.io/v1': { StorageClass: 'storageclasses' },
  'events.k8s.io/v1': { Event: 'events' },
  'apiextensions.k8s.io/v1': { CustomResourceDefinition: 'customresourcedefinitions' },
  'untradex.io/v1alpha1': { ExamSession: 'examsessions' },
};

const clusterWide = new Set([
  ...['PersistentVolume', 'Namespace', 'Node', 'ClusterRole', 'ClusterRoleBinding', 'StorageClass'],
  'CustomResourceDefinition',
]);

/** Throws `api_kind_unknown` for a kind that the table lacks. */
export function resourceOf({ apiVersion, kind }: KindRef): Resource {
  const plural = plurals[apiVersion]?.[kind];
  if (plural === undefined) {
    const remedy = 'Add it to the table in operator/kubernetes/runtime/kinds.ts.';
    throw problem('api_kind_unknown', `the kind ${kind} of ${apiVersion} has no known path`, remedy);
  }
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return { group, plural, namespaced: !clusterWide.has(kind) };
}

/** `/apis/apps/v1/namespaces/exams/statefulsets`; without a namespace, those of all namespaces. */
export function collectionPath(ref: KindRef & { readonly namespace?: string | undefined }): string {
  const { plural, namespaced } = resourceOf(ref);
  const root = ref.apiVersion.includes('/') ? `/apis/${ref.apiVersion}` : `/api/${ref.apiVersion}`;
  if (!namespaced || ref.namespace === undefined) return `${root}/${plural}`;
  return `${root}/namespaces/${encodeURIComponent(ref.namespace)}/${plural}`;
}

/** The path of one object. A namespaced kind without a namespace is a mistake in the program. */
export function objectPath(ref: KindRef & { readonly namespace?: string | undefined; readonly name: string }): string {
  if (resourceOf(ref).namespaced && ref.namespace === undefined) {
    throw new TypeError(`${ref.kind} ${ref.name} needs a namespace`);
  }
  return `${collectionPath(ref)}/${encodeURIComponent(ref.name)}`;
}
