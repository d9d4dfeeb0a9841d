import type { V1Deployment, V1StatefulSet } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { isReady } from '#operator/kubernetes/podview.ts';
import { until } from '#test/support/until.ts';
import { type Exam, seconds, traceOf } from './exam.ts';
import { type Hall, kinds } from './hall.ts';

/** Complaints: what people delete or change by hand stays so, or is set right by restarting all of it. */
export function drifts(hall: () => Hall, exam: () => Exam): void {
  test('what people delete, scale or edit by hand is set right, and no Redis is restarted', async () => {
    const { ref, spec, students } = exam();
    const { replicas } = spec.gateway;
    const names = objectNames(ref);
    const shards = await traceOf(hall(), ref, 'redis');
    const set = `statefulset/${names.redis}`;
    const image = (await redisTemplate(hall(), ref)).containers[0]!.image;
    const before = await deletable(hall(), ref);
    expect(before.length).toBeGreaterThan(6);

    await hall().kubectl('scale', 'deployment', names.gateway, '--replicas=0');
    await repaired('a Deployment of none', () => expectGateways(hall(), ref, replicas));
    await hall().kubectl('delete', ...before);
    await hall().kubectl('delete', 'deployment', names.gateway);
    await hall().kubectl('set', 'image', set, 'redis=localhost/another:1');
    await hall().kubectl('set', 'resources', set, '-c=redis', '--limits=memory=64Mi', '--requests=memory=64Mi');
    await hall().kubectl('scale', set, '--replicas=3');
    await repaired("the shards' template and number", async () => {
      const { containers } = await redisTemplate(hall(), ref);
      expect(containers[0]!.image).toBe(image);
      expect(containers[0]!.resources?.limits?.memory).not.toBe('64Mi');
      expect(await hall().pods(ref, 'redis')).toHaveLength(2);
    });
    await repaired('a Deployment that was deleted', () => expectGateways(hall(), ref, replicas));
    await repaired(before.join(', '), async () => expect(await deletable(hall(), ref)).toEqual(before));
    expect(await traceOf(hall(), ref, 'redis')).toEqual(shards);
    await students.goOn(50);
  });
}

/** What can be made again from what is known elsewhere, as `kubectl delete` takes it. */
async function deletable(hall: Hall, ref: SessionRef): Promise<string[]> {
  const { identity, inForce } = objectNames(ref);
  const of = async (kind: 'Service' | 'PodDisruptionBudget' | 'ConfigMap' | 'NetworkPolicy') => {
    const names = await hall.named(ref, kind);
    return names.filter((name) => name !== identity && name !== inForce).map((name) => `${kind.toLowerCase()}/${name}`);
  };
  return (await Promise.all([of('Service'), of('PodDisruptionBudget'), of('ConfigMap'), of('NetworkPolicy')])).flat();
}

async function repaired(what: string, check: () => Promise<void>): Promise<void> {
  const startedAt = performance.now();
  const isRight = () => check().then(() => true);
  await until(isRight, { what: `${what} to be set right`, timeoutMs: 60_000, everyMs: 200 });
  console.log(`drift: ${what}: right after ${seconds(startedAt)} s`);
}

async function expectGateways(hall: Hall, ref: SessionRef, replicas: number): Promise<void> {
  const at = { ...kinds.Deployment, namespace: ref.namespace, name: objectNames(ref).gateway };
  expect(((await hall.api.get(at)) as V1Deployment | null)?.spec?.replicas).toBe(replicas);
  expect((await hall.pods(ref, 'gateway')).filter(isReady)).toHaveLength(replicas);
}

async function redisTemplate({ api }: Hall, ref: SessionRef) {
  const at = { ...kinds.StatefulSet, namespace: ref.namespace, name: objectNames(ref).redis };
  return ((await api.get(at)) as unknown as V1StatefulSet).spec!.template.spec!;
}
