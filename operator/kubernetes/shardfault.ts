import type { V1PersistentVolumeClaimSpec, V1PersistentVolumeClaimStatus } from '@kubernetes/client-node';
import type { Fault } from '../platform.ts';
import { annotationNames } from './names.ts';
import { podFault } from './podfault.ts';
import { conditionOf, isTerminating, type PodView } from './podview.ts';
import type { KubeObject } from './runtime/object.ts';

export type ClaimView = KubeObject & {
  readonly spec?: V1PersistentVolumeClaimSpec;
  readonly status?: V1PersistentVolumeClaimStatus;
};

/** The end of a pod's grace is past, and it is still there: its node does not say that it ended. */
const overdueMs = 30_000;
/** A claim that waits for its pod's node, and for the volume to be made. */
const slowClaimMs = 120_000;
/** A volume that somebody made before is found within this. */
const classlessMs = 15_000;
const longestWords = 500;

const owner = { what: 'redis', field: 'spec.redis' };

/**
 * What keeps a shard's pod from working until somebody does something; null when nothing does, or it just needs time.
 * Pure.
 * @param now ms since 1970
 */
export function shardFault(pod: PodView, claim: ClaimView | undefined, now: number): Fault | null {
  if (isTerminating(pod)) return stuck(pod, now);
  if (claim?.status?.phase === 'Lost') return volumeLost(pod, claim);
  if (pod.status?.phase === 'Failed') return failed(pod);
  const unschedulable = whyUnschedulable(pod);
  if (claim !== undefined && (unschedulable === null || isAboutVolumes(unschedulable))) {
    const fault = claimFault(claim, unschedulable, now);
    if (fault !== null) return fault;
  }
  if (unschedulable !== null && /volume node affinity conflict/.test(unschedulable)) return diskElsewhere(pod, claim);
  const fault = podFault(pod, owner, now);
  return fault === null ? null : { ...fault, remedy: remedyFor(fault, unschedulable) };
}

/** A pod that is to end, on a node that is silent: whether it still runs there, nobody knows. */
function stuck({ metadata, spec }: PodView, now: number): Fault | null {
  if (now < Date.parse(metadata.deletionTimestamp!) + overdueMs) return null;
  const { name, namespace } = metadata;
  const node = (spec as { nodeName?: string } | undefined)?.nodeName;
  if (node === undefined) {
    const remedy = `See what holds it: kubectl get pod -n ${namespace} ${name} -o yaml (its finalizers).`;
    return { code: 'pod_stuck', message: `the pod ${name} is to end, and something holds it`, remedy };
  }
  return {
    code: 'node_lost',
    message: `the pod ${name} is to end, and its node ${node} does not say that it did: the node is down, or cut off`,
    remedy: `Bring the node back. When it is off for good, say so: kubectl taint node ${node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute. Never delete the pod by force while the node may run: two Redis on one volume lose answers.`,
  };
}

/** The StatefulSet makes another one in its place. */
function failed({ metadata: { name, namespace }, spec, status }: PodView): Fault {
  const node = (spec as { nodeName?: string } | undefined)?.nodeName ?? 'its node';
  const words = cut(status?.message ?? status?.reason ?? 'it does not say why');
  if (status?.reason === 'Evicted') {
    const remedy = `Free what ran short on ${node}, or give the shards a higher spec.redis.pod.priorityClassName. Another pod is made in its place.`;
    return { code: 'pod_evicted', message: `the pod ${name} was evicted from ${node}: ${words}`, remedy };
  }
  const remedy = `Look at the node ${node}, and: kubectl describe pod -n ${namespace} ${name}`;
  return { code: 'pod_failed', message: `the pod ${name} ended for good: ${words}`, remedy };
}

function claimFault({ metadata, spec, status }: ClaimView, unschedulable: string | null, now: number): Fault | null {
  if (status?.phase !== 'Pending') return null;
  const { name, namespace } = metadata;
  const age = now - Date.parse(metadata.creationTimestamp ?? '');
  const className = spec?.storageClassName ?? '';
  if (className === '' && age > classlessMs) {
    return {
      code: 'claim_without_class',
      message: `the claim ${name} has no volume: it names no storage class, and the cluster has no default one`,
      remedy:
        "Make a storage class the default one (its annotation storageclass.kubernetes.io/is-default-class), which takes the claim too; for other sessions set spec.redis.storageClass or the operator's storageClass.",
    };
  }
  if (className === '' || (unschedulable === null && !(age > slowClaimMs))) return null;
  const words = unschedulable === null ? '' : `: ${cut(unschedulable)}`;
  return {
    code: 'claim_pending',
    message: `the claim ${name} has no volume yet from the storage class ${className}${words}`,
    remedy: `Check that the class exists and what its provisioner says: kubectl describe pvc -n ${namespace} ${name}`,
  };
}

function volumeLost({ metadata }: PodView, claim: ClaimView): Fault {
  return {
    code: 'volume_lost',
    message: `the volume of the claim ${claim.metadata.name} is gone, and with it what the pod ${metadata.name} had stored`,
    remedy: `Restore the volume ${claim.spec?.volumeName ?? ''}. ${givingUpClaim(claim)}`,
  };
}

function diskElsewhere({ metadata }: PodView, claim: ClaimView | undefined): Fault {
  return {
    code: 'volume_elsewhere',
    message: `the pod ${metadata.name} has no node: its volume can be used on certain nodes only, and none of these takes it`,
    remedy: `Bring back, or make room on, the node that has the volume.${claim === undefined ? '' : ` ${givingUpClaim(claim)}`}`,
  };
}

/** The operator never deletes a claim; a person may, who knows that nothing is left on it. */
function givingUpClaim({ metadata: { name, namespace, uid } }: ClaimView): string {
  return `When it is gone for good: kubectl annotate pvc -n ${namespace} ${name} ${annotationNames.deleteUnverified}=${uid}, kubectl patch pvc -n ${namespace} ${name} --type merge -p '{"metadata":{"finalizers":["kubernetes.io/pvc-protection"]}}', then kubectl delete pvc -n ${namespace} ${name} and its pod; a new, empty one is made. Then give the shard up in spec.redis.refill, as the condition QueueReady says.`;
}

function whyUnschedulable(pod: PodView): string | null {
  const scheduled = conditionOf(pod, 'PodScheduled');
  return scheduled?.status === 'False' && scheduled.reason === 'Unschedulable' ? (scheduled.message ?? '') : null;
}

/** Some nodes may lack memory, others the volume: then it is about both, and the nodes come first. */
function isAboutVolumes(why: string): boolean {
  return /PersistentVolumeClaim|persistent volume/i.test(why) && !/Insufficient/.test(why);
}

/** What is said of any pod, in what a shard's sizes follow from. */
function remedyFor({ code, remedy }: Fault, unschedulable: string | null): string {
  if (code === 'pod_out_of_memory') {
    return 'Raise spec.redis.resources.memory, or spec.answers (perStudent, bytes) when students send more than it says: shards are then restarted with more, one at a time.';
  }
  if (code === 'pod_unschedulable' && /Insufficient (cpu|memory)/.test(unschedulable ?? '')) {
    return 'Add nodes with room for it, or ask for less: lower spec.answers (perStudent, bytes) when it says too much, or set spec.redis.resources.';
  }
  return remedy;
}

function cut(words: string): string {
  const line = words.trim().replaceAll(/\s+/g, ' ');
  return line.length <= longestWords ? line : `${line.slice(0, longestWords)}…`;
}
