import { join } from 'node:path';
import { KubeConfig, type V1PersistentVolume } from '@kubernetes/client-node';
import { stringify } from 'yaml';
import { type Comparison, compareLedger } from '#cli/compare.ts';
import { apiVersion, kind } from '#operator/examsession.ts';
import {
  annotationNames,
  type Component,
  labelNames,
  objectNames,
  type SessionRef,
} from '#operator/kubernetes/names.ts';
import type { PodView } from '#operator/kubernetes/podview.ts';
import { type Api, createApi, type KindRef, type KubeObject } from '#operator/kubernetes/runtime/api.ts';
import type { Condition, SessionStatus } from '#operator/status.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import type { Ended } from '#test/support/cluster/command.ts';
import { kindRuns } from '#test/support/cluster/kind.ts';
import { whyNoOwnCluster } from '#test/support/cluster/own.ts';
import type { TestCluster } from '#test/support/cluster/testcluster.ts';
import { startCluster } from '#test/support/cluster.ts';
import { until } from '#test/support/until.ts';
import { installRelease, mustRunTool, type Release } from '../release.ts';

/** A whole cluster with the operator, and a namespace for exams in which people do what people do. */
export interface Hall {
  readonly cluster: TestCluster;
  readonly release: Release;
  readonly namespace: string;
  readonly api: Api;
  /** Must succeed; its stdout. */
  kubectl(...args: string[]): Promise<string>;
  /** May fail. `input` is its stdin. */
  tryKubectl(args: readonly string[], input?: object): Promise<Ended>;
  /** Applies a session, as a person does by kubectl, and tells its uid. */
  apply(name: string, spec: object): Promise<SessionRef>;
  edit(ref: SessionRef, patch: object): Promise<void>;
  session(ref: Pick<SessionRef, 'name'>): Promise<KubeObject | null>;
  status(ref: Pick<SessionRef, 'name'>): Promise<SessionStatus | null>;
  condition(ref: SessionRef, type: string): Promise<Condition | undefined>;
  /** Waits for a condition to be as wished; the error tells all conditions. */
  when(ref: SessionRef, type: string, status?: 'True' | 'False', timeoutMs?: number): Promise<Condition>;
  /** Waits for something of the status; the error tells all conditions. */
  whenStatus(ref: SessionRef, what: string, is: (now: SessionStatus) => boolean, timeoutMs?: number): Promise<void>;
  pods(ref: SessionRef, component?: Component): Promise<PodView[]>;
  /** Names of everything of this kind that belongs to the session. */
  named(ref: SessionRef, of: keyof typeof kinds): Promise<string[]>;
  /** Ends a pod as a dead node would: at once, without a word to its programs. */
  kill(pod: string): Promise<void>;
  /** Path of a claim's volume on this machine. */
  folderOf(claim: string): Promise<string>;
  /** The table, compared with what students saw acknowledged. */
  compare(ref: SessionRef, ledger: string): Promise<Comparison>;
  /** Lets the session go, verified or not, and does not wait for it. */
  abandon(ref: SessionRef): Promise<void>;
}

export const kinds = {
  StatefulSet: { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  Deployment: { apiVersion: 'apps/v1', kind: 'Deployment' },
  Job: { apiVersion: 'batch/v1', kind: 'Job' },
  Pod: { apiVersion: 'v1', kind: 'Pod' },
  Service: { apiVersion: 'v1', kind: 'Service' },
  ConfigMap: { apiVersion: 'v1', kind: 'ConfigMap' },
  Secret: { apiVersion: 'v1', kind: 'Secret' },
  PersistentVolumeClaim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
  PodDisruptionBudget: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
} as const satisfies Record<string, KindRef>;

/** A session in a size that fits two cores beside others. */
export function smallSpec({ students = 50, shards = 1, replicas = 2, graceSeconds = 1 } = {}) {
  const resources = { cpu: '20m' };
  return {
    ...{ students, graceSeconds },
    gateway: { replicas, resources },
    redis: { shards, resources },
    export: { resources },
  };
}

const namespace = 'exams';

/** Why this machine cannot have one, in one line; null when it can. */
export async function whyNoHall(env: NodeJS.ProcessEnv): Promise<string | null> {
  const asked = env.UNTRADEX_TEST_CLUSTER;
  if (asked ? asked === 'own' : !(await kindRuns())) return whyNoOwnCluster();
  return 'students reach gateways by their addresses, and volumes are wiped: set UNTRADEX_TEST_CLUSTER=own';
}

export async function openHall(): Promise<Hall> {
  const cluster = await startCluster();
  const release = await installRelease(cluster);
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } };
  await mustRunTool(cluster.kubectl(['apply', '-f', '-'], stringify(object)));
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(cluster.kubeconfig);
  const api = createApi(kubeConfig, { userAgent: 'resilience' });
  onScopeEnd(() => api.close());
  return hallOf(cluster, release, api);
}

function hallOf(cluster: TestCluster, release: Release, api: Api): Hall {
  const at = ({ name }: Pick<SessionRef, 'name'>) => ({ apiVersion, kind, namespace, name });
  const here = ['-n', namespace];
  const session = (ref: Pick<SessionRef, 'name'>) => api.get(at(ref));
  const status = async (ref: Pick<SessionRef, 'name'>) =>
    ((await session(ref))?.status ?? null) as SessionStatus | null;
  const kubectl = (...args: string[]) =>
    mustRunTool(cluster.kubectl([...here, ...args], undefined, { timeoutMs: 90_000 }));
  const select = ({ uid }: SessionRef, component?: Component) =>
    [`${labelNames.uid}=${uid}`, ...(component ? [`${labelNames.component}=${component}`] : [])].join(',');

  const hall: Hall = {
    ...{ cluster, release, namespace, api, kubectl, session, status },
    tryKubectl: (args, input) => cluster.kubectl([...here, ...args], input && JSON.stringify(input)),
    async apply(name, spec) {
      await mustRunTool(cluster.kubectl(['apply', '-f', '-'], JSON.stringify({ ...sessionManifest(name), spec })));
      return { namespace, name, uid: (await session({ name }))!.metadata.uid! };
    },
    async edit(ref, patch) {
      await api.patch(at(ref), patch, { type: 'merge', manager: 'kubectl-patch' });
    },
    async condition(ref, type) {
      return (await status(ref))?.conditions.find((one) => one.type === type);
    },
    async when(ref, type, wanted = 'True', timeoutMs = 90_000) {
      const is = (now: SessionStatus) => now.conditions.some((one) => one.type === type && one.status === wanted);
      await hall.whenStatus(ref, `${type} ${wanted}`, is, timeoutMs);
      return (await hall.condition(ref, type))!;
    },
    async whenStatus(ref, what, is, timeoutMs = 60_000) {
      let seen: SessionStatus | null = null;
      const reached = async () => {
        seen = await status(ref);
        return seen !== null && is(seen);
      };
      await until(reached, { what: `${ref.name}: ${what}`, timeoutMs, everyMs: 200 }).catch((error: Error) => {
        const told = seen?.conditions.map((one) => `  ${one.type} ${one.status} ${one.reason}: ${one.message}`);
        throw new Error(`${error.message}\n${seen?.phase}\n${told?.join('\n')}`, { cause: error.cause });
      });
    },
    async pods(ref, component) {
      const found = await api.list({ ...kinds.Pod, namespace, labelSelector: select(ref, component) });
      return found.items as PodView[];
    },
    async named(ref, of) {
      const found = await api.list({ ...kinds[of], namespace, labelSelector: select(ref) });
      return found.items.map(({ metadata }) => metadata.name).sort();
    },
    async kill(pod) {
      await kubectl('delete', 'pod', pod, '--grace-period=0', '--force');
    },
    async folderOf(claim) {
      const found = await api.get({ ...kinds.PersistentVolumeClaim, namespace, name: claim });
      const { volumeName } = found!.spec as { volumeName: string };
      const { body } = await cluster.call('GET', `/api/v1/persistentvolumes/${volumeName}`);
      return (body as unknown as V1PersistentVolume).spec!.local!.path;
    },
    async compare(ref, ledger) {
      const database = join(await hall.folderOf(objectNames(ref).exportClaim), 'exams.duckdb');
      return compareLedger({ ledger, database, table: 'EXAM_ANSWERS', sessionUid: ref.uid });
    },
    async abandon(ref) {
      await hall.edit(ref, { metadata: { annotations: { [annotationNames.deleteUnverified]: ref.uid } } });
      await kubectl('delete', 'exam', ref.name, '--wait=false');
    },
  };
  return hall;
}

export function sessionManifest(name: string) {
  return { apiVersion, kind, metadata: { name, namespace } };
}
