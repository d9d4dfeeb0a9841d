import type { V1JobCondition } from '@kubernetes/client-node';
import { begun, exporterExit, type LastLine, resultOf, rootFault, saidFault, stateOfEnd } from '../exportend.ts';
import type { AttemptPlan } from '../plan.ts';
import type { AttemptObserved, ExportResult, Fault } from '../platform.ts';
import { podFault } from './podfault.ts';
import { conditionOf, isOver, type PodView } from './podview.ts';
import type { KubeObject } from './runtime/object.ts';

/** What the Jobs and pods of an attempt say about it. Pure. */

/** A Job as the API gives it. Only what is read here. */
export interface JobView extends KubeObject {
  readonly status?: {
    readonly active?: number;
    /** `0-3,5` */
    readonly completedIndexes?: string;
    readonly failedIndexes?: string;
    readonly conditions?: readonly (Omit<V1JobCondition, 'lastTransitionTime' | 'lastProbeTime'> & {
      readonly lastTransitionTime?: string;
    })[];
  };
}

export interface AttemptSeen {
  readonly load: JobView | null;
  readonly publish: JobView | null;
  /** Of both Jobs. */
  readonly pods: readonly PodView[];
}

/** `load`, `publish`: that Job is to be made. `wait`: they work, or end. Else the attempt is over. */
export type Verdict =
  | { readonly next: 'load' | 'publish' }
  | { readonly next: 'wait'; readonly fault: Fault | null; readonly begun: boolean }
  | {
      readonly next: 'over';
      readonly state: 'succeeded' | 'failed' | 'blocked';
      readonly fault: Fault | null;
      readonly result: ExportResult | null;
    };

/** Pods of an attempt that failed are told to end by their Job. One that does not, since its node is away, is not waited for: it can do no harm. */
const stragglerMs = 30_000;
/** A Job whose pods are refused (by a quota, a policy) has none. */
const podlessMs = 15_000;
const owner = { what: 'exporter', field: 'spec.export' } as const;

/** @param now ms since 1970 */
export function judgeAttempt(plan: AttemptPlan, seen: AttemptSeen, now: number): Verdict {
  const { load, publish } = seen;
  const job = publish ?? load;
  if (job === null) return { next: 'load' };
  const pods = podsOf(seen.pods, job);
  const failed = failure(job);
  if (failed !== null) return ending(job, failed, pods, now);
  if (!isTrue(job, 'Complete')) return working(job, pods, now);
  return publish === null ? { next: 'publish' } : published(plan, pods);
}

/** A Job that will bring nothing more, or has brought all. */
export function isFinished(job: JobView): boolean {
  return isTrue(job, 'Complete') || isTrue(job, 'Failed');
}

function isTrue(job: JobView, type: string): boolean {
  return job.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') === true;
}

function podsOf(pods: readonly PodView[], job: JobView): PodView[] {
  return pods.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid));
}

interface Failure {
  readonly since: number;
  readonly words: string;
}

/** Why a Job does not succeed any more; null while it may. Some versions say it before its pods have ended, some after. */
function failure(job: JobView): Failure | null {
  const condition = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Failed' || type === 'FailureTarget') && status === 'True',
  );
  if (condition !== undefined) {
    const since = Date.parse(condition.lastTransitionTime ?? '');
    return {
      since: Number.isNaN(since) ? 0 : since,
      words: `${condition.reason ?? 'Failed'}: ${condition.message ?? ''}`,
    };
  }
  const { deletionTimestamp } = job.metadata;
  if (deletionTimestamp === undefined || isTrue(job, 'Complete')) return null;
  return { since: Date.parse(deletionTimestamp), words: 'somebody deleted it' };
}

function ending(job: JobView, { since, words }: Failure, pods: readonly PodView[], now: number): Verdict {
  const end = endOf(job, pods, words);
  const active = pods.some((pod) => !isOver(pod, now));
  if (active && now - since < stragglerMs) return { next: 'wait', fault: end.fault, begun: true };
  return { next: 'over', ...end, result: null };
}

function working(job: JobView, pods: readonly PodView[], now: number): Verdict {
  const active = pods.filter((pod) => !isOver(pod, now));
  const faults = active.flatMap((pod) => podFault(pod, owner, now) ?? []);
  const isBegun = pods.some(({ status }) => (status?.phase ?? 'Pending') !== 'Pending');
  const podless = pods.length === 0 && now - Date.parse(job.metadata.creationTimestamp ?? '') > podlessMs;
  return { next: 'wait', fault: faults[0] ?? (podless ? noPods(job) : null), begun: isBegun };
}

function noPods({ metadata: { name, namespace } }: JobView): Fault {
  return {
    code: 'exporter_without_pods',
    message: `the Job ${name} has no pods yet`,
    remedy: `See what refuses them (a quota, a policy, a missing account): kubectl describe job -n ${namespace} ${name}`,
  };
}

/** Of several pods that ended badly the one counts that says most: what a person must mend, then what it said itself. */
function endOf(job: JobView, pods: readonly PodView[], words: string): { state: 'failed' | 'blocked'; fault: Fault } {
  const ends = pods.flatMap((pod) => badEnd(pod) ?? []).sort((a, b) => a.rank - b.rank);
  if (ends[0] !== undefined) return { state: ends[0].state, fault: ends[0].fault };
  return { state: 'failed', fault: endedWithoutWord(job.metadata, `the Job ended (${words})`) };
}

interface BadEnd {
  readonly rank: number;
  readonly state: 'failed' | 'blocked';
  readonly fault: Fault;
}

/** How a pod ended; null when it ended well, or did not yet. */
function badEnd(pod: PodView): BadEnd | null {
  const { terminated } = pod.status?.containerStatuses?.[0]?.state ?? {};
  if (pod.status?.phase !== 'Failed' && (terminated === undefined || terminated.exitCode === exporterExit.done))
    return null;
  const said = saidFault(lastLineOf(terminated?.message));
  const state = stateOfEnd(terminated?.exitCode ?? null, said);
  if (state === 'blocked') return { rank: 0, state, fault: said! };
  const disrupted = disruption(pod);
  if (said !== null && said.code !== 'interrupted') return { rank: 1, state, fault: said };
  if (disrupted !== null) return { rank: 2, state, fault: disrupted };
  if (said !== null) return { rank: 4, state, fault: said };
  if (terminated?.reason === 'OOMKilled') return { rank: 3, state, fault: outOfMemory(pod) };
  const how = terminated?.signal ? `signal ${terminated.signal}` : `exit code ${terminated?.exitCode ?? 'unknown'}`;
  return { rank: 3, state, fault: endedWithoutWord(pod.metadata, `the exporter ended without a result (${how})`) };
}

/** Evicted, preempted, its node gone. */
function disruption(pod: PodView): Fault | null {
  const condition = conditionOf(pod, 'DisruptionTarget');
  const { reason, message } =
    condition?.status === 'True' ? condition : pod.status?.reason === 'Evicted' ? pod.status : {};
  if (reason === undefined) return null;
  return {
    code: 'exporter_disrupted',
    message: `the cluster ended the exporter's pod ${pod.metadata.name} (${reason}${message ? `: ${message.slice(0, 500)}` : ''})`,
    remedy:
      'Nothing is lost: the next attempt begins with staging of its own. For pods that are not preempted set spec.export.pod.priorityClassName.',
  };
}

function outOfMemory({ metadata }: PodView): Fault {
  return {
    code: 'pod_out_of_memory',
    message: `the exporter ${metadata.name} was killed because it used all its memory`,
    remedy: 'Raise spec.export.resources.memory.',
  };
}

function endedWithoutWord({ name, namespace }: { name: string; namespace?: string }, message: string): Fault {
  const remedy = `The next attempt finds out what this one did. Its log, while it is there: kubectl logs -n ${namespace} -l batch.kubernetes.io/job-name=${name} --all-containers`;
  return { code: 'exporter_ended', message: `${message}: ${name}`, remedy };
}

/** The proof, as the publisher left it. When its words are lost, the next attempt finds it published and proves it again. */
function published(plan: AttemptPlan, pods: readonly PodView[]): Verdict {
  const lines = pods.flatMap(
    ({ status }) => lastLineOf(status?.containerStatuses?.[0]?.state?.terminated?.message) ?? [],
  );
  const line = lines.find(({ kind }) => kind === 'result');
  if (line === undefined) {
    const remedy = 'Nothing is lost: the next attempt finds the rows published, and proves them again.';
    const message = 'the publisher ended well, but what it said is lost with its pod';
    return { next: 'over', state: 'failed', fault: { code: 'exporter_ended', message, remedy }, result: null };
  }
  const result = resultOf(line);
  const wrong = rootFault(result, plan);
  if (wrong !== null) return { next: 'over', state: 'blocked', fault: wrong, result: null };
  return { next: 'over', state: 'succeeded', fault: null, result };
}

/** The last words of a container: what the exporter left, or the last lines of its log, where it may stand too. */
export function lastLineOf(message: string | undefined): LastLine | null {
  for (const line of (message ?? '').trimEnd().split('\n').reverse()) {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null && 'kind' in value && value.kind !== 'progress')
        return value as LastLine;
    } catch {
      // A line of the log, or the half of one.
    }
  }
  return null;
}

/** How far an exporter's pod says it is. */
export interface PodProgress {
  readonly step: AttemptObserved['step'];
  readonly rows: number;
  readonly total: number;
  readonly rowsPerSecond: number;
}

/** How far the attempt is: shards that are loaded, and what the pods that run say. */
export function progressOf(
  plan: AttemptPlan,
  { load, publish }: AttemptSeen,
  told: readonly PodProgress[],
): AttemptObserved {
  const start = begun(plan);
  if (publish !== null) {
    const { step = 'publish', rows = 0, total = start.total, rowsPerSecond = 0 } = told[0] ?? {};
    return { ...start, step, rows, total: total || start.total, rowsPerSecond };
  }
  const done = indexes(load?.status?.completedIndexes ?? '');
  const loaded = plan.witnesses.reduce((sum, { shard, events }) => sum + (done.has(shard) ? events : 0), 0);
  const rows = told.reduce((sum, one) => sum + one.rows, loaded);
  return {
    ...start,
    rows: Math.min(rows, start.total),
    rowsPerSecond: told.reduce((sum, one) => sum + one.rowsPerSecond, 0),
  };
}

/** `0-2,7` as numbers. */
function indexes(text: string): ReadonlySet<number> {
  const ranges = text.split(',').filter((range) => range !== '');
  return new Set(
    ranges.flatMap((range) => {
      const [from = 0, to = from] = range.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    }),
  );
}
