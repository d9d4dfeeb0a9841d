import { expect, test } from 'vitest';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { isReady } from '#operator/kubernetes/podview.ts';
import { until } from '#test/support/until.ts';
import type { Exam } from './exam.ts';
import type { Hall } from './hall.ts';

/** Complaints: a drained node takes the database with it, or a budget stops every drain for ever. */
export function drains(hall: () => Hall, exam: () => Exam): void {
  test('a drained node gets no Redis in mid-exam, and gateways one at a time', async () => {
    const { ref, spec, students } = exam();
    const { replicas } = spec.gateway;
    const names = objectNames(ref);
    await students.goOn(50);
    await expectDrainHeld(hall(), ref);
    const refused = await evict(hall(), names.redisPod(0));
    expect(refused).toMatchObject({ status: 429 });
    expect(JSON.stringify(refused.body)).toContain(`The disruption budget ${names.redis} needs 2 healthy pods`);

    students.gapMs();
    for (let round = 1; round <= 2; round++) {
      const [first, second] = (await hall().pods(ref, 'gateway')).filter(isReady).map(({ metadata }) => metadata.name);
      const allowed = async () => (await evict(hall(), first!)).status === 201;
      await until(allowed, { what: 'an eviction to be allowed', timeoutMs: 30_000, everyMs: 200 });
      expect(await evict(hall(), second!)).toMatchObject({ status: 429 });
      const full = async () => (await hall().pods(ref, 'gateway')).filter(isReady).length === replicas;
      await until(full, { what: 'another gateway in its place', timeoutMs: 60_000, everyMs: 200 });
    }
    const everybody = () => students.connected === spec.students;
    await until(everybody, { what: 'everybody to be back', timeoutMs: 30_000, everyMs: 100 });
    await students.goOn(50);
    console.log(`drain: the longest wait for an acknowledgement was ${students.gapMs()} ms`);
  });
}

/** `kubectl drain` says what holds it up. */
async function expectDrainHeld(hall: Hall, ref: SessionRef): Promise<void> {
  const [pod] = await hall.pods(ref, 'redis');
  const node = (pod!.spec as { nodeName: string }).nodeName;
  const selector = `untradex.io/session-uid=${ref.uid},app.kubernetes.io/component=redis`;
  const drain = ['drain', node, '--pod-selector', selector, '--ignore-daemonsets', '--timeout=3s'];
  try {
    const { code, stderr } = await hall.tryKubectl(drain);
    expect(code).not.toBe(0);
    const said = stderr.split('\n').find((line) => line.includes('disruption budget'));
    expect(said).toContain(`Cannot evict pod as it would violate the pod's disruption budget`);
    console.log(`drain: ${said}`);
  } finally {
    await hall.kubectl('uncordon', node);
  }
}

function evict({ cluster, namespace }: Hall, pod: string) {
  const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace } };
  return cluster.call('POST', `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`, { body });
}
