import type { Fault } from '../platform.ts';
import { type ContainerState, type ContainerView, conditionOf, isTerminating, type PodView } from './podview.ts';

/** Whose pod it is, for the words of a fault. */
export interface PodOwner {
  /** `gateway` */
  readonly what: string;
  /** Where the session says what such pods get: `spec.gateway`. */
  readonly field: string;
}

/** Pulling an image and attaching a volume take their time; longer than this somebody should look. */
const slowStartMs = 120_000;
/** One that ran out of memory is told of for so long, also when it runs again. */
const outOfMemoryMs = 600_000;
const longestWords = 500;

/**
 * What keeps a pod from working, with what to do; null when nothing does, or it just needs time. Pure.
 * @param now ms since 1970
 */
export function podFault(pod: PodView, owner: PodOwner, now: number): Fault | null {
  if (isTerminating(pod)) return null;
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return unschedulable(pod, owner, scheduled.message ?? 'the scheduler does not say why');
  }
  for (const container of pod.status?.containerStatuses ?? []) {
    const fault = containerFault(pod, container, owner, now);
    if (fault !== null) return fault;
  }
  const since = Date.parse(scheduled?.lastTransitionTime ?? '');
  return scheduled?.status === 'True' && now - since > slowStartMs ? slowStart(pod, owner, now - since) : null;
}

function unschedulable(pod: PodView, { field }: PodOwner, why: string): Fault {
  const remedies = [
    ...(/Insufficient (cpu|memory)/.test(why) ? [`add nodes, or ask for less by ${field}.resources`] : []),
    ...(/untolerated taint/.test(why) ? [`add ${field}.pod.tolerations for the nodes that are meant`] : []),
    ...(/affinity|selector/.test(why) ? [`change ${field}.pod.nodeSelector or affinity, or label nodes`] : []),
    ...(/PersistentVolumeClaim|volume/.test(why)
      ? ['look at the claims of this namespace, and their storage class']
      : []),
  ];
  const remedy = remedies.length === 0 ? `Add nodes that it fits on, or change ${field}.pod.` : sentence(remedies);
  return { code: 'pod_unschedulable', message: `no node takes the pod ${pod.metadata.name}: ${cut(why)}`, remedy };
}

/** `ErrImagePull` is the first try, `ImagePullBackOff` the pause after it. */
const imageReasons = [
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'RegistryUnavailable',
];
const configReasons = ['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError'];

function containerFault(pod: PodView, container: ContainerView, owner: PodOwner, now: number): Fault | null {
  const { waiting } = container.state ?? {};
  const reason = waiting?.reason ?? '';
  const words = cut(waiting?.message ?? reason);
  const { name } = pod.metadata;
  if (imageReasons.includes(reason)) {
    const remedy = `Check that the image ${container.image} exists and that every node may pull it: images and images.pullSecrets of the operator's configuration.`;
    return { code: 'image_pull_failed', message: `the pod ${name} has no image: ${words}`, remedy };
  }
  if (configReasons.includes(reason)) {
    const remedy = `Make what the message names (a Secret mostly, with that key), or correct ${owner.field}.`;
    return { code: 'pod_not_started', message: `the pod ${name} cannot be started: ${words}`, remedy };
  }
  const last = lastEnd(container);
  if (last === undefined) return null;
  const isLooping = reason === 'CrashLoopBackOff' || (container.state?.terminated !== undefined && last.exitCode !== 0);
  if (last.reason === 'OOMKilled') {
    const isRecent = now - Date.parse(last.finishedAt ?? '') < outOfMemoryMs;
    return isLooping || isRecent ? outOfMemory(pod, owner, container.restartCount) : null;
  }
  return isLooping ? crashLoop(pod, owner, container, last) : null;
}

type End = NonNullable<ContainerState['terminated']>;

function lastEnd({ state, lastState }: ContainerView): End | undefined {
  return state?.terminated ?? lastState?.terminated;
}

function outOfMemory(pod: PodView, { what, field }: PodOwner, restarts: number): Fault {
  const message = `the ${what} ${pod.metadata.name} was killed because it used all its memory (started again ${restarts} times)`;
  return { code: 'pod_out_of_memory', message, remedy: `Raise ${field}.resources.memory, or leave it to the plan.` };
}

function crashLoop(pod: PodView, { what }: PodOwner, { restartCount }: ContainerView, last: End): Fault {
  const { name, namespace } = pod.metadata;
  const how = last.signal ? `signal ${last.signal}` : `exit code ${last.exitCode}`;
  // The container's termination message: the last lines of its log when it left no other.
  const words = last.message === undefined || last.message.trim() === '' ? '' : `: ${cut(last.message, 'end')}`;
  const message = `the ${what} ${name} keeps ending (${how}, started again ${restartCount} times)${words}`;
  const remedy = `Mend what it says; all of it: kubectl logs --previous -n ${namespace} ${name}`;
  return { code: 'pod_crash_loop', message, remedy };
}

function slowStart(pod: PodView, { what }: PodOwner, ms: number): Fault | null {
  const statuses = pod.status?.containerStatuses ?? [];
  const waits = statuses.length === 0 || statuses.some(({ state }) => state?.waiting?.reason === 'ContainerCreating');
  if (!waits) return null;
  const { name, namespace } = pod.metadata;
  return {
    code: 'pod_slow_start',
    message: `the ${what} ${name} has a node since ${Math.round(ms / 60_000)} minutes and is not made there yet`,
    remedy: `See what its node waits for (a Secret that is not there, a volume, the network): kubectl describe pod -n ${namespace} ${name}`,
  };
}

function sentence(parts: readonly string[]): string {
  const text = parts.join('; ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** On one line, and not too long: the beginning, or the end. */
function cut(words: string, keep: 'beginning' | 'end' = 'beginning'): string {
  const line = words.trim().replaceAll(/\s+/g, ' ');
  if (line.length <= longestWords) return line;
  return keep === 'end' ? `…${line.slice(-longestWords)}` : `${line.slice(0, longestWords)}…`;
}
