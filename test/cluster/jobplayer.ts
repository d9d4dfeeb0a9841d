import type { V1JobSpec } from '@kubernetes/client-node';
import { isFinished, type JobView } from '#operator/kubernetes/attemptstate.ts';
import { labelNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { PodView } from '#operator/kubernetes/podview.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/object.ts';
import type { TestApiServer } from '#test/support/apiserver.ts';

/** A pod of an attempt, to whoever says how it fares. */
export interface PlayedPod {
  readonly command: 'load' | 'publish';
  readonly attempt: number;
  /** Of a loader: its shard. */
  readonly index: number;
}

/** How a pod fares: it ends with these words, or its status becomes what is given, or it is deleted as soon as it has ended. */
export type Fate =
  | {
      readonly exit: number;
      readonly message?: string;
      readonly conditions?: readonly object[];
      readonly lost?: boolean;
    }
  | { readonly status: object };

export interface JobPlayer {
  /** Does what the job controller, the kubelet and the garbage collector would do now. */
  play(): Promise<void>;
}

/** Plays the parts of a cluster that a lone API server lacks, for the Jobs of one session. */
export function createJobPlayer(cluster: TestApiServer, ref: SessionRef, fateOf: (pod: PlayedPod) => Fate): JobPlayer {
  const space = `/namespaces/${ref.namespace}`;
  const jobs = `/apis/batch/v1${space}/jobs`;
  const pods = `/api/v1${space}/pods`;
  const own = `?labelSelector=${encodeURIComponent(`${labelNames.uid}=${ref.uid}`)}`;

  async function call(
    method: string,
    path: string,
    body?: object,
    contentType?: string,
  ): Promise<Record<string, unknown>> {
    const reply = await cluster.call(method, path, { body, ...(contentType && { contentType }) });
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${String(reply.body.message)}`);
    return reply.body;
  }
  const list = async <T>(path: string) => (await call('GET', `${path}${own}`)).items as T[];
  const patchStatus = (path: string, status: object) =>
    call('PATCH', `${path}/status`, { status }, 'application/merge-patch+json');

  async function createPod(job: JobView, index: number): Promise<PodView> {
    const { template } = job.spec as V1JobSpec;
    const { name, uid } = job.metadata;
    const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true }];
    const metadata = { ...template.metadata, name: `${name}-${index}`, ownerReferences };
    return (await call('POST', pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: template.spec,
    })) as unknown as PodView;
  }

  async function farePod(job: JobView, pod: PodView, index: number): Promise<'ran' | 'failed' | 'active'> {
    const { phase } = pod.status ?? {};
    if (phase === 'Succeeded') return 'ran';
    if (phase === 'Failed') return 'failed';
    const command = job.metadata.name.includes('-load-') ? 'load' : 'publish';
    const fate = fateOf({ command, attempt: Number(job.metadata.labels?.[labelNames.attempt]), index });
    const path = `${pods}/${pod.metadata.name}`;
    if ('status' in fate) {
      await patchStatus(path, fate.status);
      return 'active';
    }
    const { exit, message, conditions = [], lost } = fate;
    const terminated = { exitCode: exit, reason: exit === 0 ? 'Completed' : 'Error', ...(message && { message }) };
    const container = { name: 'exporter', image: 'untradex', imageID: '', ready: false, restartCount: 0 };
    await patchStatus(path, {
      ...{ phase: exit === 0 ? 'Succeeded' : 'Failed', conditions },
      containerStatuses: [{ ...container, state: { terminated } }],
    });
    if (lost) await call('DELETE', `${path}?gracePeriodSeconds=0`);
    return exit === 0 ? 'ran' : 'failed';
  }

  async function playJob(job: JobView, known: readonly PodView[]): Promise<void> {
    const { completions = 1, completionMode } = job.spec as V1JobSpec;
    const fates = [];
    for (let index = 0; index < completions; index++) {
      const name = `${job.metadata.name}-${index}`;
      const pod = known.find(({ metadata }) => metadata.name === name) ?? (await createPod(job, index));
      fates.push(await farePod(job, pod, index));
    }
    const now = new Date().toISOString();
    const done = fates.flatMap((fate, index) => (fate === 'ran' ? [index] : []));
    const told = (type: string) => ({
      type,
      status: 'True',
      lastTransitionTime: now,
      lastProbeTime: now,
      reason: 'Played',
    });
    const active = fates.filter((fate) => fate === 'active').length;
    const indexes = completionMode === 'Indexed' ? { completedIndexes: done.join(',') } : {};
    const counts = { startTime: job.metadata.creationTimestamp, active, succeeded: done.length, ...indexes };
    const ends = fates.includes('failed')
      ? { failed: 1, conditions: [told('FailureTarget'), ...(active === 0 ? [told('Failed')] : [])] }
      : done.length === completions
        ? { completionTime: now, conditions: [told('SuccessCriteriaMet'), told('Complete')] }
        : {};
    await patchStatus(`${jobs}/${job.metadata.name}`, { ...counts, ...ends, uncountedTerminatedPods: {} });
  }

  return {
    async play() {
      const there = await list<JobView>(jobs);
      const known = await list<PodView>(pods);
      for (const job of there) if (!isFinished(job)) await playJob(job, known);
      const orphans = (await list<KubeObject>(pods)).filter(
        ({ metadata }) => !there.some((job) => job.metadata.uid === metadata.ownerReferences?.[0]?.uid),
      );
      for (const { metadata } of orphans) await call('DELETE', `${pods}/${metadata.name}?gracePeriodSeconds=0`);
    },
  };
}
