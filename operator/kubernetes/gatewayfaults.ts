import type { V1Deployment } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { isProblem, type Problem } from '#queue/problem.ts';
import { faultOf } from '../fault.ts';
import type { Fault } from '../platform.ts';
import type { KubeObject } from './runtime/object.ts';

/**
 * Objects that the API server would not take for a reason that a person must mend: each is a fault of the session,
 * until it is taken. Everything else (conflicts, an API server that is away) is an error of the pass, which is tried
 * again.
 */
export interface GatewayFaults {
  /** Runs `make`; keeps as a fault of `what` why it was refused. */
  attempt(what: string, make: () => Promise<void>): Promise<void>;
  /** By what they are faults of. */
  readonly all: ReadonlyMap<string, Fault>;
  /** Nothing is wanted any more, so nothing is wrong. */
  clear(): void;
}

const refusals = ['api_invalid', 'api_forbidden', 'api_not_found'];

export function createGatewayFaults(log: Pick<Logger, 'warn'>): GatewayFaults {
  const all = new Map<string, Fault>();
  return {
    all,
    clear: () => all.clear(),
    async attempt(what, make) {
      try {
        await make();
        all.delete(what);
      } catch (error) {
        if (!isProblem(error) || !refusals.includes(error.code)) throw error;
        const fault = refusal(what, error);
        if (all.get(what)?.message !== fault.message) log.warn({ what, fault }, 'an object was refused');
        all.set(what, fault);
      }
    },
  };
}

function refusal(what: string, error: Problem): Fault {
  // A group that the API server does not know has no path there.
  if (what !== 'HTTPRoute' || error.code !== 'api_not_found') return faultOf(error);
  return {
    code: 'gateway_api_missing',
    message:
      'this cluster has no HTTPRoute (gateway.networking.k8s.io/v1), so nothing leads from spec.access.host here',
    remedy:
      'Install the Gateway API and a controller for it; or leave spec.access.gateway out, and an Ingress is made instead.',
  };
}

/** The cluster does not make the Deployment's pods: a quota, a rule of the namespace, a webhook. */
export function podsRefused(deployment: KubeObject | null): Fault | null {
  const { spec, status } = (deployment ?? {}) as V1Deployment;
  const failure = status?.conditions?.find(({ type }) => type === 'ReplicaFailure');
  if (failure?.status !== 'True' || spec?.replicas === 0) return null;
  return {
    code: 'pods_refused',
    message: `the cluster refuses to make gateways: ${failure.message ?? failure.reason ?? 'it does not say why'}`,
    remedy: 'Change what the message names: a quota or rule of the namespace, or spec.gateway.resources and pod.',
  };
}
