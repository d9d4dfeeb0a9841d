import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { annotationNames, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { until } from '#test/support/until.ts';
import type { Exam } from './exam.ts';
import { type Hall, kinds } from './hall.ts';

/** Complaints: an operator that undoes what a person mends by hand, and cannot be told to keep its hands off. */
export function pauses(hall: () => Hall, exam: () => Exam): void {
  test('of a paused exam nothing is changed, whatever is wished or deleted, until it is resumed', async () => {
    const { ref, students } = exam();
    const { api } = hall();
    const pausing = (paused: 'true' | null) =>
      hall().edit(ref, { metadata: { annotations: { [annotationNames.paused]: paused } } });
    await hall().whenStatus(ref, 'Active', ({ phase }) => phase === 'Active');
    await pausing('true');
    await hall().when(ref, 'Paused');
    const budget = { ...kinds.PodDisruptionBudget, namespace: ref.namespace, name: objectNames(ref).gateway };
    const deployment = { ...kinds.Deployment, namespace: ref.namespace, name: objectNames(ref).gateway };
    await api.remove(budget);
    await hall().kubectl('scale', 'deployment', deployment.name, '--replicas=1');
    await hall().edit(ref, { spec: { phase: 'Finalizing' } });
    try {
      const { generation = 0 } = (await hall().session(ref))!.metadata;
      await hall().whenStatus(ref, 'the edit to be seen', ({ observedGeneration }) => observedGeneration >= generation);
      const before = await versions(hall(), ref);
      await sleep(4_000);
      expect(await versions(hall(), ref)).toEqual(before);
      expect(await hall().status(ref)).toMatchObject({ phase: 'Active' });
      await students.goOn(30);
    } finally {
      // Somebody thinks better of it.
      await hall().edit(ref, { spec: { phase: 'Active' } });
      await pausing(null);
    }
    const isBack = async () => {
      const { spec } = (await api.get(deployment))!;
      return (
        (spec as { replicas: number }).replicas === exam().spec.gateway.replicas && (await api.get(budget)) !== null
      );
    };
    await until(isBack, { what: 'the operator to go on', timeoutMs: 40_000, everyMs: 200 });
    await hall().when(ref, 'GatewayReady');
    expect(await hall().status(ref)).toMatchObject({ phase: 'Active' });
  });
}

/** Of everything of the session whose writer could only be the operator. */
async function versions(hall: Hall, ref: SessionRef): Promise<string[]> {
  const of = [
    'StatefulSet',
    'Service',
    'ConfigMap',
    'Secret',
    'PersistentVolumeClaim',
    'Job',
    'PodDisruptionBudget',
  ] as const;
  const labelSelector = `untradex.io/session-uid=${ref.uid}`;
  const lists = of.map((kind) => hall.api.list({ ...kinds[kind], namespace: ref.namespace, labelSelector }));
  const found = (await Promise.all(lists)).flatMap(({ items }) => items);
  return found.map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`).sort();
}
