import { createHash } from 'node:crypto';
import type {
  V1Deployment,
  V1Job,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodTemplateSpec,
  V1StatefulSet,
} from '@kubernetes/client-node';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { dependents, kinds, type Of, type Seen, type TestNamespace, unless } from './cluster.ts';

/**
 * The controllers of Kubernetes that sessions need, each as small as it can be and still do what the real one does:
 * StatefulSets (Parallel, OnDelete), Deployments (new pods first; without ReplicaSets between), Jobs (Indexed, never
 * tried again), the binding of claims, and the garbage collector. Each does one step from what is seen.
 */
export async function control(space: TestNamespace, seen: Seen): Promise<void> {
  for (const claim of seen.claims) await (isThere(claim) ? bind(space, claim) : letGo(space, claim, seen.pods));
  for (const one of seen.statefulSets) if (isThere(one)) await controlStatefulSet(space, one, seen);
  for (const one of seen.deployments) if (isThere(one)) await controlDeployment(space, one, seen.pods);
  for (const one of seen.jobs) if (isThere(one)) await controlJob(space, one, seen.pods);
}

/** Removes what belongs to something that is gone, in the background. Owners are read after their dependents. */
export async function collectGarbage(space: TestNamespace): Promise<void> {
  const owned = (await Promise.all(dependents.map(space.list)))
    .flat()
    .filter(({ metadata }) => metadata.ownerReferences);
  const owners = await Promise.all((['ExamSession', 'StatefulSet', 'Deployment', 'Job'] as const).map(space.list));
  const alive = new Set(owners.flat().map(({ metadata }) => metadata.uid));
  for (const object of owned) {
    const isOrphan = object.metadata.ownerReferences!.every(({ uid }) => !alive.has(uid));
    if (isOrphan && isThere(object)) await space.remove(object);
  }
}

function isThere({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp === undefined;
}

async function bind(space: TestNamespace, claim: KubeObject): Promise<void> {
  const { status, spec } = claim as Of<V1PersistentVolumeClaim>;
  if (status?.phase === 'Bound') return;
  const capacity = { storage: spec?.resources?.requests?.storage };
  await space.setStatus(claim, { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity });
}

/** A claim that is to go stays while a pod has it. */
async function letGo({ api, namespace }: TestNamespace, claim: KubeObject, pods: Seen['pods']): Promise<void> {
  const { name, resourceVersion, finalizers = [] } = claim.metadata;
  const isUsed = pods.some(({ spec }) => spec?.volumes?.some((one) => one.persistentVolumeClaim?.claimName === name));
  if (isUsed || !finalizers.includes(inUse)) return;
  const metadata = { resourceVersion, finalizers: finalizers.filter((one) => one !== inUse) };
  const at = { ...kinds.PersistentVolumeClaim, namespace, name };
  await unless(['api_conflict', 'api_not_found'], api.patch(at, { metadata }, { type: 'merge' }));
}

/** The API server puts it on every claim. */
export const inUse = 'kubernetes.io/pvc-protection';

async function controlStatefulSet(space: TestNamespace, set: Of<V1StatefulSet>, seen: Seen): Promise<void> {
  const { replicas = 1, template, volumeClaimTemplates = [] } = set.spec!;
  const revision = `${set.metadata.name}-${hashOf(template)}`;
  const own = podsOf(set, seen.pods);
  for (let index = 0; index < replicas; index++) {
    const name = `${set.metadata.name}-${index}`;
    const claims = volumeClaimTemplates.map((claim) => ({ claim, name: `${claim.metadata!.name}-${name}` }));
    for (const { claim, name } of claims) {
      if (seen.claims.some(({ metadata }) => metadata.name === name)) continue;
      const metadata = { ...claim.metadata, name, namespace: space.namespace };
      await space.create({ ...kinds.PersistentVolumeClaim, metadata, spec: claim.spec } as unknown as KubeObject);
    }
    if (own.some((pod) => pod.metadata.name === name)) continue;
    const volumes = claims.map(({ claim, name: claimName }) => ({
      name: claim.metadata!.name!,
      persistentVolumeClaim: { claimName },
    }));
    const labels = { 'apps.kubernetes.io/pod-index': `${index}`, 'controller-revision-hash': revision };
    await space.create(podOf(space, set, template, { name, labels, volumes }));
  }
  for (const pod of own) if (indexOf(pod) >= replicas && isThere(pod)) await space.remove(pod);
  const updated = own.filter(({ metadata }) => metadata.labels?.['controller-revision-hash'] === revision);
  await space.setStatus(set, {
    ...{ observedGeneration: set.metadata.generation, replicas: own.length, readyReplicas: own.filter(isReady).length },
    ...{ availableReplicas: own.filter(isReady).length, updatedReplicas: updated.length, updateRevision: revision },
  });
}

async function controlDeployment(
  space: TestNamespace,
  deployment: Of<V1Deployment>,
  pods: Seen['pods'],
): Promise<void> {
  const { replicas = 1, template } = deployment.spec!;
  const hash = hashOf(template);
  const own = podsOf(deployment, pods).filter(isThere);
  const [fresh, old] = partition(own, ({ metadata }) => metadata.labels?.['pod-template-hash'] === hash);
  for (let count = fresh.length; count < replicas; count++) {
    const name = `${deployment.metadata.name}-${hash}-${Math.random().toString(36).slice(2, 7)}`;
    await space.create(podOf(space, deployment, template, { name, labels: { 'pod-template-hash': hash } }));
  }
  const surplus = fresh
    .sort((a, b) => Number(isReady(a)) - Number(isReady(b)))
    .slice(0, Math.max(0, fresh.length - replicas));
  const isRolledOut = fresh.filter(isReady).length >= replicas;
  for (const pod of [...surplus, ...(isRolledOut ? old : [])]) await space.remove(pod);
  await space.setStatus(deployment, {
    ...{ observedGeneration: deployment.metadata.generation, replicas: own.length, updatedReplicas: fresh.length },
    ...{ readyReplicas: own.filter(isReady).length, availableReplicas: own.filter(isReady).length },
  });
}

async function controlJob(space: TestNamespace, job: Of<V1Job>, pods: Seen['pods']): Promise<void> {
  const { completions = 1, parallelism = 1, template, completionMode } = job.spec!;
  if (job.status?.conditions?.some(({ type }) => type === 'Complete' || type === 'Failed')) return;
  const own = podsOf(job, pods);
  const phases = own.map((pod) => pod.status?.phase);
  const failed = phases.filter((phase) => phase === 'Failed').length;
  const done = own.filter((pod) => pod.status?.phase === 'Succeeded').map(indexOf);
  const active = own.filter((pod) => !['Failed', 'Succeeded'].includes(pod.status?.phase ?? ''));
  if (failed > 0) {
    for (const pod of active) if (isThere(pod)) await space.remove(pod);
  } else {
    const missing = Array.from({ length: completions }, (_, index) => index).filter(
      (index) => !own.some((pod) => indexOf(pod) === index),
    );
    for (const index of missing.slice(0, Math.max(0, parallelism - active.length))) {
      const annotations = { 'batch.kubernetes.io/job-completion-index': `${index}` };
      const name = `${job.metadata.name}-${index}`;
      const pod = podOf(space, job, template, { name, labels: { 'batch.kubernetes.io/job-name': job.metadata.name } });
      await space.create({
        ...pod,
        metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, ...annotations } },
      });
    }
  }
  const indexes = completionMode === 'Indexed' ? { completedIndexes: done.sort((a, b) => a - b).join(',') } : {};
  const counts = {
    startTime: job.metadata.creationTimestamp,
    active: active.length,
    succeeded: done.length,
    ...indexes,
  };
  await space.setStatus(job, {
    ...counts,
    uncountedTerminatedPods: {},
    ...endOfJob(failed, active.length, done.length === completions),
  });
}

function endOfJob(failed: number, active: number, isDone: boolean): object {
  const now = new Date().toISOString();
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now, lastProbeTime: now });
  if (isDone) return { completionTime: now, conditions: [condition('SuccessCriteriaMet'), condition('Complete')] };
  if (failed === 0) return {};
  return { failed, ...(active === 0 && { conditions: [condition('FailureTarget'), condition('Failed')] }) };
}

interface PodParts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly volumes?: NonNullable<V1Pod['spec']>['volumes'];
}

/** A pod on the one node that there is. */
function podOf(
  { namespace }: TestNamespace,
  owner: KubeObject,
  template: V1PodTemplateSpec,
  parts: PodParts,
): KubeObject {
  const { apiVersion, kind, metadata } = owner;
  const reference = { apiVersion, kind, name: metadata.name, uid: metadata.uid!, controller: true };
  const spec = template.spec!;
  return {
    ...kinds.Pod,
    metadata: {
      ...{ name: parts.name, namespace, ownerReferences: [reference] },
      labels: { ...template.metadata?.labels, ...parts.labels },
      annotations: { ...template.metadata?.annotations },
    },
    spec: { ...spec, nodeName: 'test-node', volumes: [...(spec.volumes ?? []), ...(parts.volumes ?? [])] },
  };
}

function podsOf({ metadata }: KubeObject, pods: Seen['pods']): Of<V1Pod>[] {
  return pods.filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid));
}

function indexOf({ metadata }: KubeObject): number {
  return Number(metadata.name.slice(metadata.name.lastIndexOf('-') + 1));
}

function isReady({ metadata, status }: Of<V1Pod>): boolean {
  const isSo = status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  return isSo && metadata.deletionTimestamp === undefined;
}

function hashOf(template: V1PodTemplateSpec): string {
  return createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 8);
}

function partition<T>(all: readonly T[], test: (one: T) => boolean): [T[], T[]] {
  return [all.filter(test), all.filter((one) => !test(one))];
}
