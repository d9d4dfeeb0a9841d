import { describe, expect, test } from 'vitest';
import type { PodView } from '#operator/kubernetes/podview.ts';
import { type ClaimView, shardFault } from '#operator/kubernetes/shardfault.ts';

const now = Date.parse('2026-05-04T10:00:00Z');
const ago = (seconds: number) => new Date(now - seconds * 1_000).toISOString();
const metadata = { name: 'algebra-redis-0', namespace: 'exams' };

function podOf(status: object, change: object = {}): PodView {
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', spec: { nodeName: 'node-7' } as object },
    metadata: { ...metadata, ...change },
    status,
  };
}

function claimOf(phase: string, storageClassName?: string, age = 300): ClaimView {
  return {
    ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
    metadata: { name: 'data-algebra-redis-0', namespace: 'exams', creationTimestamp: ago(age) },
    spec: { volumeName: 'volume-1', ...(storageClassName !== undefined && { storageClassName }) },
    status: { phase },
  };
}

const container = { name: 'redis', image: 'redis:7', imageID: '', ready: false, restartCount: 4 };
const waiting = (reason: string, message?: string) => ({ waiting: { reason, message } });
const unschedulable = (message: string) => ({
  phase: 'Pending',
  conditions: [
    { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime: ago(60) },
  ],
});
const bound = claimOf('Bound', 'fast');

test('a pod that works has none, nor one that just takes its time', () => {
  const running = { phase: 'Running', containerStatuses: [{ ...container, state: { running: {} } }] };
  expect(shardFault(podOf(running), bound, now)).toBeNull();
  expect(shardFault(podOf({ phase: 'Pending' }), claimOf('Pending', 'fast', 30), now)).toBeNull();
  expect(shardFault(podOf(running, { deletionTimestamp: ago(-20) }), bound, now)).toBeNull();
  expect(shardFault(podOf(running, { deletionTimestamp: ago(20) }), bound, now)).toBeNull();
});

describe('a pod without a node', () => {
  test('says which resource is short, and what to change', () => {
    const why = '0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available.';
    expect(shardFault(podOf(unschedulable(why)), bound, now)).toMatchObject({
      code: 'pod_unschedulable',
      message: expect.stringContaining('Insufficient memory'),
      remedy: expect.stringMatching(/spec\.answers.*spec\.redis\.resources/),
    });
    const taint = '0/3 nodes are available: 3 node(s) had untolerated taint {exam: true}.';
    expect(shardFault(podOf(unschedulable(taint)), bound, now)).toMatchObject({
      remedy: expect.stringContaining('spec.redis.pod.tolerations'),
    });
  });

  test('says that its claim names no class, or a class that gives nothing', () => {
    const why = '0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.';
    expect(shardFault(podOf(unschedulable(why)), claimOf('Pending'), now)).toMatchObject({
      code: 'claim_without_class',
      remedy: expect.stringContaining('default'),
    });
    expect(shardFault(podOf(unschedulable(why)), claimOf('Pending', 'fast'), now)).toMatchObject({
      code: 'claim_pending',
      message: expect.stringMatching(/fast.*unbound/),
      remedy: expect.stringContaining('kubectl describe pvc -n exams data-algebra-redis-0'),
    });
    expect(shardFault(podOf({ phase: 'Pending' }), claimOf('Pending', 'fast'), now)?.code).toBe('claim_pending');
    // It waits for the pod's node, which is what is missing.
    const memory = '0/3 nodes are available: 3 Insufficient memory.';
    expect(shardFault(podOf(unschedulable(memory)), claimOf('Pending', 'fast'), now)?.code).toBe('pod_unschedulable');
  });

  test('says that its volume is elsewhere, or gone, and how it is given up', () => {
    const why = '0/3 nodes are available: 3 node(s) had volume node affinity conflict.';
    const elsewhere = shardFault(podOf(unschedulable(why)), bound, now);
    expect(elsewhere?.code).toBe('volume_elsewhere');
    const gone = shardFault(podOf({ phase: 'Pending' }), claimOf('Lost', 'fast'), now);
    expect(gone?.code).toBe('volume_lost');
    for (const fault of [elsewhere, gone]) expect(fault?.remedy).toContain('spec.redis.refill');
  });
});

describe('a pod that does not run', () => {
  const withState = (state: object, lastState: object = {}) =>
    shardFault(podOf({ phase: 'Running', containerStatuses: [{ ...container, state, lastState }] }), bound, now);

  test('says that its image cannot be pulled', () => {
    expect(withState(waiting('ImagePullBackOff', 'Back-off pulling image "redis:typo"'))).toMatchObject({
      code: 'image_pull_failed',
      message: expect.stringContaining('redis:typo'),
    });
  });

  test('says how it keeps ending, and what more memory takes', () => {
    const ended = {
      terminated: { exitCode: 1, message: 'Bad directive or wrong number of arguments', finishedAt: ago(5) },
    };
    expect(withState(waiting('CrashLoopBackOff'), ended)).toMatchObject({
      code: 'pod_crash_loop',
      message: expect.stringContaining('Bad directive'),
    });
    const killed = { terminated: { exitCode: 137, reason: 'OOMKilled', finishedAt: ago(5) } };
    expect(withState(waiting('CrashLoopBackOff'), killed)).toMatchObject({
      code: 'pod_out_of_memory',
      remedy: expect.stringMatching(/spec\.redis\.resources\.memory.*spec\.answers/),
    });
  });

  test('says that it was evicted, and why', () => {
    const status = { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: ephemeral-storage.' };
    expect(shardFault(podOf(status), bound, now)).toMatchObject({
      code: 'pod_evicted',
      message: expect.stringMatching(/node-7.*ephemeral-storage/),
    });
    expect(shardFault(podOf({ phase: 'Failed' }), bound, now)?.code).toBe('pod_failed');
  });
});

test('a pod whose node is silent names it, and warns of force', () => {
  const running = { phase: 'Running', containerStatuses: [{ ...container, state: { running: {} } }] };
  expect(shardFault(podOf(running, { deletionTimestamp: ago(31) }), bound, now)).toMatchObject({
    code: 'node_lost',
    message: expect.stringContaining('node-7'),
    remedy: expect.stringMatching(/taint node node-7.*Never delete the pod by force/),
  });
  const nowhere = { ...podOf(running, { deletionTimestamp: ago(31) }), spec: {} };
  expect(shardFault(nowhere, bound, now)?.code).toBe('pod_stuck');
});
