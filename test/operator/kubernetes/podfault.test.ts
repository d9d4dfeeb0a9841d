import { expect, test } from 'vitest';
import { podFault } from '#operator/kubernetes/podfault.ts';
import { isOver, isReady, type PodView } from '#operator/kubernetes/podview.ts';

const now = Date.parse('2026-05-04T10:00:00Z');
const owner = { what: 'gateway', field: 'spec.gateway' };
const ago = (seconds: number) => new Date(now - seconds * 1_000).toISOString();

function podOf(status: object, metadata: object = {}): PodView {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'g-1', namespace: 'exams', ...metadata },
    status,
  } as PodView;
}

const scheduled = (status: string, rest: object = {}) => ({ type: 'PodScheduled', status, ...rest });
const withContainer = (container: object, seconds = 10) =>
  podOf({
    conditions: [scheduled('True', { lastTransitionTime: ago(seconds) })],
    containerStatuses: [{ name: 'gateway', image: 'untradex:1', restartCount: 4, ...container }],
  });

test('a pod that works, and one that just begins, have no fault', () => {
  expect(podFault(podOf({}), owner, now)).toBeNull();
  expect(podFault(withContainer({ state: { waiting: { reason: 'ContainerCreating' } } }), owner, now)).toBeNull();
  expect(podFault(withContainer({ state: { running: {} }, ready: true }, 9_999), owner, now)).toBeNull();
});

test.each([
  ['0/3 nodes are available: 3 Insufficient cpu.', 'Add nodes, or ask for less by spec.gateway.resources.'],
  ['1 node(s) had untolerated taint {exam: only}', 'Add spec.gateway.pod.tolerations for the nodes that are meant.'],
  ["3 node(s) didn't match Pod's node affinity/selector", 'Change spec.gateway.pod.nodeSelector or affinity'],
  ['the moon is full', 'Add nodes that it fits on, or change spec.gateway.pod.'],
])('no node takes it: %s', (why, remedy) => {
  const pod = podOf({ conditions: [scheduled('False', { reason: 'Unschedulable', message: why })] });
  const fault = podFault(pod, owner, now)!;
  expect(fault.code).toBe('pod_unschedulable');
  expect(fault.message).toContain(why);
  expect(fault.remedy).toContain(remedy);
});

test('its image cannot be pulled', () => {
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image "untradex:1": 401' };
  const fault = podFault(withContainer({ state: { waiting } }), owner, now)!;
  expect(fault).toMatchObject({ code: 'image_pull_failed', message: expect.stringContaining('401') });
  expect(fault.remedy).toContain('images.pullSecrets');
});

test('a Secret has not the key that it mounts', () => {
  const waiting = { reason: 'CreateContainerConfigError', message: 'secret "theirs" not found' };
  const fault = podFault(withContainer({ state: { waiting } }), owner, now);
  expect(fault).toMatchObject({
    code: 'pod_not_started',
    message: expect.stringContaining('secret "theirs" not found'),
  });
});

test('it keeps ending: the last lines say why', () => {
  const message = `${'x'.repeat(600)}\nthe gateway cannot start:\n  origins: wrong`;
  const lastState = { terminated: { exitCode: 1, reason: 'Error', message } };
  const fault = podFault(withContainer({ state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState }), owner, now)!;
  expect(fault.code).toBe('pod_crash_loop');
  expect(fault.message).toMatch(/exit code 1, started again 4 times\): ….*cannot start: origins: wrong$/);
  expect(fault.remedy).toContain('kubectl logs --previous -n exams g-1');
});

test('it used all its memory: told while it loops, and for ten minutes when it runs again', () => {
  const terminated = { exitCode: 137, reason: 'OOMKilled', finishedAt: ago(300) };
  const looping = { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated } };
  expect(podFault(withContainer(looping), owner, now)?.code).toBe('pod_out_of_memory');
  const running = { state: { running: {} }, lastState: { terminated } };
  expect(podFault(withContainer(running), owner, now)?.remedy).toContain('spec.gateway.resources.memory');
  expect(podFault(withContainer(running), owner, now + 600_000)).toBeNull();
});

test('one that ended once and runs again has no fault', () => {
  const lastState = { terminated: { exitCode: 1, reason: 'Error', finishedAt: ago(1) } };
  expect(podFault(withContainer({ state: { running: {} }, lastState }), owner, now)).toBeNull();
});

test('its node waits for something', () => {
  const fault = podFault(withContainer({ state: { waiting: { reason: 'ContainerCreating' } } }, 180), owner, now);
  expect(fault).toMatchObject({ code: 'pod_slow_start', message: expect.stringContaining('since 3 minutes') });
});

test('one that is to end is not ready and has no fault; long after its grace it counts as gone', () => {
  const conditions = [{ type: 'Ready', status: 'True' }];
  const ending = podOf({ conditions }, { deletionTimestamp: ago(30) });
  expect(isReady(podOf({ conditions }))).toBe(true);
  expect([isReady(ending), isOver(ending, now), podFault(ending, owner, now)]).toEqual([false, false, null]);
  expect(isOver(ending, now + 60_000)).toBe(true);
  expect(isOver(podOf({ phase: 'Failed' }), now)).toBe(true);
});
