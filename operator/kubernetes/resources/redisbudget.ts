import type { V1PodDisruptionBudgetSpec } from '@kubernetes/client-node';
import { objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/**
 * Whoever drains a node waits until the session is over: a shard that moves takes no answers meanwhile. One that does
 * not work anyway may go.
 */
export function redisBudget(part: Part): KubeObject {
  const spec: V1PodDisruptionBudgetSpec = {
    maxUnavailable: 0,
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
    selector: { matchLabels: selectorOf(part.ref, 'redis') },
  };
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: partMetadata(part, 'redis', objectNames(part.ref).redis),
    spec,
  };
}
