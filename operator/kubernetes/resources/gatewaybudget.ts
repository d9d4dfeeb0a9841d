import type { V1PodDisruptionBudgetSpec } from '@kubernetes/client-node';
import { objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/**
 * Drained nodes take at most 30 % of the gateways at a time (rounded up, so a single one can move). One that does not
 * work anyway never stops a node from being drained.
 */
export function gatewayBudget(part: Part): KubeObject {
  const spec: V1PodDisruptionBudgetSpec = {
    maxUnavailable: '30%',
    unhealthyPodEvictionPolicy: 'AlwaysAllow',
    selector: { matchLabels: selectorOf(part.ref, 'gateway') },
  };
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: partMetadata(part, 'gateway', objectNames(part.ref).gateway),
    spec,
  };
}
