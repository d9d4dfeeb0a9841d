import type { V2HorizontalPodAutoscalerSpec } from '@kubernetes/client-node';
import type { ExamSpec } from '../../examsession.ts';
import type { DesiredGateways } from '../../plan.ts';
import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/** Between how many the number of gateways may be; both the same where nothing scales it. */
export interface ReplicaRange {
  readonly min: number;
  readonly max: number;
}

/**
 * The plan's number is the least, enough for the students that are expected; twice as many is the most where the
 * session says nothing. A gateway that only answers is never scaled.
 */
export function replicaRange({ replicas, mode }: DesiredGateways, gateway: ExamSpec['gateway']): ReplicaRange {
  if (!gateway.autoscale || mode !== 'serve') return { min: replicas, max: replicas };
  return { min: replicas, max: Math.max(replicas, gateway.maxReplicas ?? replicas * 2) };
}

/** What `spec.replicas` must become; null when it may stay. In between it is the autoscaler's. */
export function replicasToSet(current: number, { min, max }: ReplicaRange): number | null {
  if (current < min) return min;
  return current > max ? max : null;
}

/** Above this share of the CPU that a gateway asks for there are too few. A gateway uses one thread. */
const cpuPercent = 60;

/**
 * More gateways quickly, fewer slowly: each one that goes moves its students to others. So one a minute at most, and
 * only after ten quiet minutes.
 */
export function autoscaler(part: Part, { min, max }: ReplicaRange): KubeObject {
  const name = objectNames(part.ref).gateway;
  const spec: V2HorizontalPodAutoscalerSpec = {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    minReplicas: min,
    maxReplicas: max,
    metrics: [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: cpuPercent } } },
    ],
    behavior: {
      scaleUp: {
        stabilizationWindowSeconds: 0,
        selectPolicy: 'Max',
        policies: [
          { type: 'Percent', value: 100, periodSeconds: 30 },
          { type: 'Pods', value: 4, periodSeconds: 30 },
        ],
      },
      scaleDown: {
        stabilizationWindowSeconds: 600,
        selectPolicy: 'Max',
        policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }],
      },
    },
  };
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: partMetadata(part, 'gateway', name),
    spec,
  };
}
