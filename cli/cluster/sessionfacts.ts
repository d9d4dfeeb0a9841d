import type { V1LocalObjectReference } from '@kubernetes/client-node';
import { labelNames, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem, problem } from '#queue/problem.ts';

/** What commands read of a session's identity, as its operator keeps it. */
export interface IdentityFacts {
  readonly images: { readonly untradex: string; readonly redis: string };
  readonly shards: readonly { readonly shard: number; readonly incarnation: string }[];
}

/** @throws Problem `not_provisioned` */
export async function identityOf(api: Api, ref: SessionRef): Promise<IdentityFacts> {
  const { namespace } = ref;
  const found = await api.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace, name: objectNames(ref).identity });
  const text = (found?.data as Record<string, string> | undefined)?.['identity.json'];
  if (text !== undefined) return JSON.parse(text) as IdentityFacts;
  const remedy = `see kubectl untradex status ${ref.name} -n ${namespace}`;
  throw problem('not_provisioned', `${ref.name} is not provisioned yet`, remedy);
}

interface Workload extends KubeObject {
  readonly spec: { readonly template: { readonly spec: { readonly imagePullSecrets?: V1LocalObjectReference[] } } };
}

/** The Secrets that the session's own pods are pulled with: only its operator is told them. */
export async function pullSecretsOf(api: Api, ref: SessionRef): Promise<V1LocalObjectReference[]> {
  const labelSelector = `${labelNames.uid}=${ref.uid},${labelNames.component} in (redis,gateway,exporter)`;
  for (const [apiVersion, kind] of [
    ['apps/v1', 'Deployment'],
    ['batch/v1', 'Job'],
  ] as const) {
    try {
      const { items } = await api.list({ apiVersion, kind, namespace: ref.namespace, labelSelector });
      const [workload] = items as Workload[];
      if (workload !== undefined) return workload.spec.template.spec.imagePullSecrets ?? [];
    } catch (error) {
      // Who may not look does without; an image that needs them tells so.
      if (!isProblem(error) || error.code !== 'api_forbidden') throw error;
    }
  }
  return [];
}
