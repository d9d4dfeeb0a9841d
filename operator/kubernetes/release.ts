import { keepMs } from '../duration.ts';
import { apiVersion, kind } from '../examsession.ts';
import { claimsOf, deleteClaim, isOfQueue, provedAt } from './claims.ts';
import { labelNames, type SessionRef } from './names.ts';
import type { Api, KubeObject } from './runtime/api.ts';

/** How often it is looked whether the last pods have let go of their claims. */
const lookAgainMs = 10_000;

export interface Released {
  /** The claims that were deleted now. */
  readonly claims: readonly string[];
  /** When it is worth another look; null: never. */
  readonly againMs: number | null;
}

/**
 * Deletes the queue's volume claims once the answers are proved to be in the table and `spec.export.keepQueueFor` is
 * over since. To be called for a session of which nothing runs any more. The claim with the export is left alone.
 *
 * Everything that counts is read again here, live: the session, its proof, and each claim, which must still be as it
 * was read when it is deleted.
 */
export async function releaseQueue(api: Api, ref: SessionRef, keepFor: string, now: number): Promise<Released> {
  const live = await api.get({ apiVersion, kind, namespace: ref.namespace, name: ref.name });
  const isOver = live !== null && live.metadata.deletionTimestamp === undefined && wishes(live) === keepFor;
  const proved = live !== null && isOver ? await provedAt(api, ref, live) : null;
  if (proved === null) return { claims: [], againMs: null };
  const due = proved + keepMs(keepFor);
  if (due > now) return { claims: [], againMs: Math.min(due - now, 86_400_000) };
  if (await hasPods(api, ref)) return { claims: [], againMs: lookAgainMs };
  const claims = (await claimsOf(api, ref)).filter((claim) => isOfQueue(claim, ref));
  for (const claim of claims) await deleteClaim(api, claim);
  return { claims: claims.map(({ metadata }) => metadata.name), againMs: null };
}

/** As the session says it now: it may have been edited since the pass began. */
function wishes({ spec }: KubeObject): string | undefined {
  return (spec as { export?: { keepQueueFor?: string } } | undefined)?.export?.keepQueueFor;
}

async function hasPods(api: Api, ref: SessionRef): Promise<boolean> {
  const labelSelector = `${labelNames.uid}=${ref.uid},${labelNames.component}=redis`;
  return (await api.list({ apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace, labelSelector })).items.length > 0;
}
