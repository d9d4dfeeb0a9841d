import { setTimeout as sleep } from 'node:timers/promises';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem, problem } from '#queue/problem.ts';
import { patiently } from './patience.ts';

/** Waiting for the pod of a tool's Job, and saying what it waits for. */
export interface ToolPodParts {
  readonly api: Api;
  readonly signal: AbortSignal;
  onWait(why: string): void;
}

interface Named {
  readonly namespace: string;
  readonly name: string;
}

const startWithinMs = 180_000;
/** A pod mostly starts within that; why it has not is nobody's concern before. */
const quietMs = 5_000;
const pollMs = 500;
/** Nothing but a person changes these. */
const hopeless = ['InvalidImageName', 'ErrImageNeverPull', 'CreateContainerConfigError'];

export interface PodObject extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly state?: {
        readonly waiting?: { readonly reason?: string; readonly message?: string };
        readonly terminated?: { readonly exitCode: number; readonly reason?: string };
      };
    }[];
  };
}

/** The pod of that Job, once it has begun. @throws Problem `job_not_started` with what keeps it */
export async function waitForStart({ api, signal, onWait }: ToolPodParts, job: Named): Promise<PodObject> {
  const { namespace, name } = job;
  const query = { apiVersion: 'v1', kind: 'Pod', namespace, labelSelector: `job-name=${name}` };
  const startedAt = performance.now();
  let told = '';
  for (;;) {
    const { items } = await patiently(signal, () => api.list(query));
    const pod = items[0] as PodObject | undefined;
    if (pod?.status?.phase !== undefined && pod.status.phase !== 'Pending') return pod;
    const waitedMs = performance.now() - startedAt;
    const given = waitedMs > startWithinMs || hopeless.includes(waitingOf(pod)?.reason ?? '');
    if (given || waitedMs > quietMs) {
      const why = await whyPending(api, job, pod);
      if (given) throw notStarted(job, why);
      if (why !== told) onWait(why);
      told = why;
    }
    await sleep(pollMs, undefined, { signal });
  }
}

function notStarted({ namespace, name }: Named, why: string) {
  const remedy =
    `mend what keeps it, then try again. A volume that one node has at a time (ReadWriteOnce) must be free, or the ` +
    `pod must fit on that node: kubectl get events -n ${namespace}`;
  return problem('job_not_started', `the pod of ${name} did not start: ${why}`, remedy);
}

function waitingOf(pod: PodObject | undefined) {
  return pod?.status?.containerStatuses?.[0]?.state?.waiting;
}

/** What its conditions say, or else the newest warning about it or its Job. */
async function whyPending(api: Api, { namespace, name }: Named, pod: PodObject | undefined): Promise<string> {
  const unscheduled = pod?.status?.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled?.message !== undefined) return unscheduled.message;
  const warning = await newestWarning(api, { namespace, name: pod?.metadata.name ?? name });
  if (warning !== null) return warning;
  const { reason, message } = waitingOf(pod) ?? {};
  const said = [reason, message].filter(Boolean).join(': ');
  return said || (pod === undefined ? 'no pod was made' : 'it is pending');
}

interface EventObject extends KubeObject {
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}

/** `FailedAttachVolume: Multi-Attach error for volume ...`; null when there is none, or they may not be read. */
async function newestWarning(api: Api, { namespace, name }: Named): Promise<string | null> {
  const fieldSelector = `involvedObject.name=${name},type=Warning`;
  try {
    const { items } = await api.list({ apiVersion: 'v1', kind: 'Event', namespace, fieldSelector });
    const newest = (items as EventObject[]).toSorted((a, b) => timeOf(a).localeCompare(timeOf(b))).at(-1);
    return newest === undefined ? null : `${newest.reason}: ${newest.message}`;
  } catch (error) {
    if (isProblem(error) && error.code === 'api_forbidden') return null;
    throw error;
  }
}

function timeOf({ lastTimestamp, eventTime, metadata }: EventObject): string {
  return lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '';
}

/**
 * The exit code. A log ends a moment before the pod is known to have ended.
 * @throws Problem `job_ended` when it did not end by itself
 */
export async function waitForEnd({ api, signal }: ToolPodParts, { namespace, name }: Named): Promise<number> {
  for (;;) {
    const ref = { apiVersion: 'v1', kind: 'Pod', namespace, name };
    const pod = (await patiently(signal, () => api.get(ref))) as PodObject | null;
    const ended = pod?.status?.containerStatuses?.[0]?.state?.terminated;
    if (ended?.reason === 'OOMKilled') {
      throw problem('job_ended', `the pod ${name} needed more memory than it may have`, 'give it less to do at a time');
    }
    if (ended !== undefined) return ended.exitCode;
    if (pod === null || pod.status?.phase === 'Failed') {
      const why = pod?.status?.message ?? pod?.status?.reason ?? 'it is gone';
      throw problem(
        'job_ended',
        `the pod ${name} was ended from outside: ${why}`,
        'see `kubectl get events`, then try again',
      );
    }
    await sleep(pollMs, undefined, { signal });
  }
}
