import { test } from 'vitest';
import { type Hall, smallSpec } from './hall.ts';
import { expectTold } from './told.ts';

/** Complaints: it hangs, and nobody says why; it was mended, and it still hangs. */
export function shortages(hall: () => Hall): void {
  test('pods that no node takes are told with what to do, and go on once that is done', async () => {
    const spec = smallSpec();
    const resources = { cpu: '64' };
    const huge = { ...spec, redis: { ...spec.redis, resources }, gateway: { ...spec.gateway, resources } };
    const ref = await hall().apply('huge', huge);
    const words = ['no node takes the pod', 'Insufficient cpu'];
    await expectTold(hall(), ref, 'QueueReady', 'pod_unschedulable', [...words, 'set spec.redis.resources']);
    await hall().edit(ref, { spec: { redis: { resources: spec.redis.resources } } });
    await expectTold(hall(), ref, 'GatewayReady', 'pod_unschedulable', [...words, 'by spec.gateway.resources']);
    await hall().edit(ref, { spec: { gateway: { resources: spec.gateway.resources } } });
    await hall().when(ref, 'Ready');
    await hall().when(ref, 'Degraded', 'False');
    await hall().abandon(ref);
  });
}
