import { readStatus } from '../statusschema.ts';
import { createAttemptRecords } from './attemptrecords.ts';
import { finalizers, labelNames, objectNames, type SessionRef } from './names.ts';
import type { Api, KubeObject } from './runtime/api.ts';

/** The volume claims of a session, which outlive it. All is read live: nothing here can be taken back. */

const kindOfClaims = { apiVersion: 'v1', kind: 'PersistentVolumeClaim' } as const;

export async function claimsOf(api: Api, { namespace, uid }: SessionRef): Promise<KubeObject[]> {
  return (await api.list({ ...kindOfClaims, namespace, labelSelector: `${labelNames.uid}=${uid}` })).items;
}

/** Those of the queue; the other one holds what was exported. */
export function isOfQueue({ metadata }: KubeObject, ref: SessionRef): boolean {
  return metadata.name !== objectNames(ref).exportClaim;
}

/** Takes our finalizer off, unless somebody changed the claim since it was read. */
export async function letGo(api: Api, claim: KubeObject): Promise<void> {
  const { name, namespace, uid, resourceVersion, finalizers: all = [] } = claim.metadata;
  if (!all.includes(finalizers.answers)) return;
  const metadata = { uid, resourceVersion, finalizers: all.filter((one) => one !== finalizers.answers) };
  await api.patch({ ...kindOfClaims, namespace: namespace!, name }, { metadata }, { type: 'merge' });
}

/** Deletes the claim as it was read, and lets go of it. A killed operator begins again here. */
export async function deleteClaim(api: Api, claim: KubeObject): Promise<void> {
  const { name, namespace, uid, resourceVersion, deletionTimestamp } = claim.metadata;
  const at = { ...kindOfClaims, namespace: namespace!, name };
  if (deletionTimestamp === undefined) await api.remove(at, { uid: uid!, resourceVersion: resourceVersion! });
  const live = await api.get(at);
  if (live !== null && live.metadata.uid === uid) await letGo(api, live);
}

/**
 * Tells when it was proved that every answer is in the table (ms since 1970); null: it was not. Asked are the session,
 * as it was just read, and the attempt's own record, both of them: who can write the one cannot make the other fit by
 * mistake.
 */
export async function provedAt(api: Api, ref: SessionRef, live: KubeObject): Promise<number | null> {
  const status = readStatus(live.status);
  if (live.metadata.uid !== ref.uid || status?.uid !== ref.uid) return null;
  const verified = status.conditions.some((condition) => condition.type === 'Verified' && condition.status === 'True');
  if (!verified || status.redis.root === null) return null;
  const { latest } = await createAttemptRecords(api, { ref, owner: live }).find();
  const { state, result, endedAt } = latest?.outcome ?? {};
  return state === 'succeeded' && result?.root === status.redis.root ? (endedAt ?? null) : null;
}
