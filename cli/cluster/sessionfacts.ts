import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { Api } from '#operator/kubernetes/runtime/api.ts';
import { problem } from '#queue/problem.ts';

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
