import { version } from '#exporter/version.ts';
import { labelNames, objectNames } from '#operator/kubernetes/names.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem } from '#queue/problem.ts';
import type { ClusterPlace } from '../clusterplace.ts';
import type { PodLogs } from '../podlog.ts';
import { containerNames } from '../sessionlog.ts';
import type { BundleFolder } from './bundlefolder.ts';
import { nodeSummary } from './nodesummary.ts';
import type { SecretNames } from './secrets.ts';
import { tidied } from './tidy.ts';

export interface CollectParts {
  readonly place: ClusterPlace;
  readonly logs: PodLogs;
  readonly bundle: BundleFolder;
  readonly secrets: readonly SecretNames[];
  /** Where operators are looked for; undefined: everywhere, or where the chart puts them. */
  readonly operatorNamespace: string | undefined;
  readonly signal: AbortSignal;
}

/** Lines of each log, from its end. */
const mostLines = 5_000;

const kinds = [
  ['v1', 'Pod', 'pods'],
  ['apps/v1', 'StatefulSet', 'statefulsets'],
  ['apps/v1', 'Deployment', 'deployments'],
  ['apps/v1', 'ReplicaSet', 'replicasets'],
  ['batch/v1', 'Job', 'jobs'],
  ['v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'],
  ['v1', 'Service', 'services'],
  ['discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices'],
  ['v1', 'ConfigMap', 'configmaps'],
  ['v1', 'ServiceAccount', 'serviceaccounts'],
  ['networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'],
  ['networking.k8s.io/v1', 'Ingress', 'ingresses'],
  ['gateway.networking.k8s.io/v1', 'HTTPRoute', 'httproutes'],
  ['policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'],
  ['autoscaling/v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers'],
] as const;

/** Everything that helps to understand a session from afar, part by part. */
export async function collect(parts: CollectParts): Promise<void> {
  const { place, bundle, secrets } = parts;
  const { api, ref, object } = place;
  const { namespace } = ref;
  bundle.writeYaml('session.yaml', tidied(object));
  bundle.writeYaml('secrets.yaml', secrets);
  for (const { name, why } of secrets) if (why !== undefined) bundle.leaveOut(`keys of the Secret ${name}`, why);
  const found: KubeObject[] = [];
  for (const [apiVersion, kind, file] of kinds) {
    const items = await listPart(parts, file, {
      apiVersion,
      kind,
      namespace,
      labelSelector: `${labelNames.uid}=${ref.uid}`,
    });
    found.push(...items);
  }
  await volumes(parts, found);
  await bundle.part('events', async () => {
    const { items } = await api.list({ apiVersion: 'v1', kind: 'Event', namespace });
    const { base } = objectNames(ref);
    const uids = new Set([ref.uid, ...found.map(({ metadata }) => metadata.uid)]);
    bundle.writeYaml('events.yaml', list(items.filter((event) => isAbout(event, uids, base))));
  });
  await listPart(parts, 'resourcequotas', { apiVersion: 'v1', kind: 'ResourceQuota', namespace });
  await bundle.part('nodes', async () => {
    const { items } = await api.list({ apiVersion: 'v1', kind: 'Node' });
    bundle.writeText('nodes.txt', `${nodeSummary(items).join('\n')}\n`);
  });
  await podLogs(
    parts,
    'logs',
    found.filter(({ kind }) => kind === 'Pod'),
  );
  await operator(parts);
  await about(parts);
}

interface Query {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly labelSelector?: string;
}

/** Lists, and writes what is there to `FILE.yaml`. */
async function listPart({ place, bundle }: CollectParts, file: string, query: Query): Promise<KubeObject[]> {
  let items: KubeObject[] = [];
  await bundle.part(file, async () => {
    items = await unlessUnknown(place.api, query);
    if (items.length > 0) bundle.writeYaml(`${file}.yaml`, list(items));
  });
  return items;
}

/** A kind that this cluster does not know (HTTPRoute) has no objects. */
async function unlessUnknown(api: Api, query: Query): Promise<KubeObject[]> {
  try {
    return (await api.list(query)).items;
  } catch (error) {
    if (isProblem(error) && error.code === 'api_not_found') return [];
    throw error;
  }
}

function list(items: readonly KubeObject[]): object {
  return { apiVersion: 'v1', kind: 'List', items: items.map(tidied) };
}

async function volumes({ place: { api }, bundle }: CollectParts, found: readonly KubeObject[]): Promise<void> {
  const claims = found.filter(({ kind }) => kind === 'PersistentVolumeClaim');
  const names = claims.flatMap(({ spec }) => (spec as { volumeName?: string }).volumeName ?? []);
  await bundle.part('persistentvolumes', async () => {
    const items: KubeObject[] = [];
    for (const name of names)
      items.push(...[(await api.get({ apiVersion: 'v1', kind: 'PersistentVolume', name })) ?? []].flat());
    if (items.length > 0) bundle.writeYaml('persistentvolumes.yaml', list(items));
  });
}

/** Pods that are gone are told by the beginning of their names alone. */
function isAbout(event: KubeObject, uids: ReadonlySet<string | undefined>, base: string): boolean {
  const { uid, name = '' } = event.involvedObject as { uid?: string; name?: string };
  return (
    (uid !== undefined && uids.has(uid)) ||
    name === base ||
    name.startsWith(`${base}-`) ||
    name.startsWith(`data-${base}-`)
  );
}

/** Of each container, and of the one that ran before it. */
async function podLogs(
  { logs, bundle, signal }: CollectParts,
  folder: string,
  pods: readonly KubeObject[],
): Promise<void> {
  for (const pod of pods) {
    const { name, namespace } = pod.metadata;
    for (const container of containerNames(pod)) {
      for (const previous of [false, true]) {
        const query = { namespace: namespace!, pod: name, container, previous, tailLines: mostLines };
        const file = `${folder}/${name}.${container}${previous ? '.previous' : ''}.log`;
        await bundle.part(file, () => bundle.writeLines(file, stampedLines(logs.lines(query, signal))));
      }
    }
  }
}

async function* stampedLines(lines: AsyncIterable<{ at: string; text: string }>): AsyncGenerator<string> {
  for await (const { at, text } of lines) yield at === '' ? text : `${at} ${text}`;
}

const operatorLabels = `${labelNames.app}=untradex-operator`;
const usualNamespace = 'untradex-system';

async function operator(parts: CollectParts): Promise<void> {
  const { place, bundle } = parts;
  await bundle.part('operator', async () => {
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', labelSelector: operatorLabels };
    const everywhere = await place.api
      .list({ ...deployment, ...inNamespace(parts.operatorNamespace) })
      .catch((error) => {
        if (parts.operatorNamespace !== undefined || !isProblem(error) || error.code !== 'api_forbidden') throw error;
        return place.api.list({ ...deployment, namespace: usualNamespace });
      });
    if (everywhere.items.length === 0) bundle.leaveOut('operator', 'none was found; name its --operator-namespace');
    const namespaces = new Set(everywhere.items.map(({ metadata }) => metadata.namespace!));
    if (everywhere.items.length > 0) bundle.writeYaml('operator/deployments.yaml', list(everywhere.items));
    for (const namespace of namespaces) await operatorIn(parts, namespace);
  });
}

function inNamespace(namespace: string | undefined): { namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

async function operatorIn(parts: CollectParts, namespace: string): Promise<void> {
  const at = `operator/${namespace}`;
  const own = { namespace, labelSelector: operatorLabels };
  const pods = await listPart(parts, `${at}/pods`, { apiVersion: 'v1', kind: 'Pod', ...own });
  await listPart(parts, `${at}/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', ...own });
  await parts.bundle.part(`${at}/leases`, async () => {
    const { items } = await parts.place.api.list({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace });
    parts.bundle.writeYaml(
      `${at}/leases.yaml`,
      list(items.filter(({ metadata }) => metadata.name.includes('untradex'))),
    );
  });
  await podLogs(parts, `${at}/logs`, pods);
}

async function about({ place, bundle }: CollectParts): Promise<void> {
  const { ref, connection } = place;
  const lines = [
    `session ${ref.namespace}/${ref.name}, uid ${ref.uid}`,
    `collected ${new Date().toISOString()} by untradex ${version}, Node ${process.versions.node}`,
  ];
  await bundle.part('version of the cluster', async () => {
    const { gitVersion } = (await place.api.raw('GET', '/version')) as { gitVersion: string };
    lines.push(`Kubernetes ${gitVersion} at ${connection.kubeConfig.getCurrentCluster()?.server}`);
  });
  lines.push(
    'Secrets are told by name and the names of their keys; rosters and values of variables are left out.',
    'Logs are the last 5,000 lines of each container, and may name students.',
  );
  bundle.writeText('about.txt', `${lines.join('\n')}\n`);
}
