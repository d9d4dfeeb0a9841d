import type { Logger } from 'pino';
import { isProblem } from '#queue/problem.ts';
import { quantity } from '../capacity.ts';
import type { Fault } from '../platform.ts';
import { numberOf } from '../quantity.ts';
import { managedBy } from './names.ts';
import type { Api, ObjectRef } from './runtime/api.ts';
import type { ClaimView } from './shardfault.ts';

/** Makes claims larger where their storage class allows it, never smaller. */
export interface ClaimGrowth {
  /** Asks for `bytes` for every bound claim that asked for less. */
  apply(claims: readonly ClaimView[], bytes: number): Promise<void>;
  /** Why a claim is not made larger. */
  faultOf(claim: ClaimView): Fault | null;
}

/** So often a class that refused is asked again: it may allow it meanwhile. */
const againMs = 600_000;

export function createClaimGrowth(api: Api, log: Pick<Logger, 'warn'>, now: () => number): ClaimGrowth {
  /** By uid of the claim. */
  const refused = new Map<string, { readonly bytes: number; readonly at: number; readonly fault: Fault }>();

  async function grow(claim: ClaimView, bytes: number): Promise<void> {
    const { uid, name, namespace } = claim.metadata;
    const known = refused.get(uid!);
    if (known?.bytes === bytes && now() - known.at < againMs) return;
    const ref: ObjectRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: namespace!, name };
    const live = (await api.get(ref)) as ClaimView | null;
    if (live?.metadata.uid !== uid || !isTooSmall(live!, bytes)) return;
    const body = {
      metadata: { uid, resourceVersion: live!.metadata.resourceVersion },
      spec: { resources: { requests: { storage: quantity(bytes) } } },
    };
    try {
      await api.patch(ref, body, { type: 'merge', manager: managedBy });
      refused.delete(uid!);
    } catch (error) {
      if (!isProblem(error) || (error.code !== 'api_forbidden' && error.code !== 'api_invalid')) throw error;
      log.warn({ claim: name, code: error.code }, error.message);
      refused.set(uid!, { bytes, at: now(), fault: notExpandable(claim, bytes) });
    }
  }

  return {
    async apply(claims, bytes) {
      for (const claim of claims) {
        if (isTooSmall(claim, bytes)) await grow(claim, bytes);
        else refused.delete(claim.metadata.uid!);
      }
    },
    faultOf: ({ metadata }) => refused.get(metadata.uid!)?.fault ?? null,
  };
}

/** Only a bound claim can grow. */
function isTooSmall({ spec, status }: ClaimView, bytes: number): boolean {
  return status?.phase === 'Bound' && (numberOf(spec?.resources?.requests?.storage) ?? bytes) < bytes;
}

function notExpandable({ metadata: { name }, spec }: ClaimView, bytes: number): Fault {
  const className = spec?.storageClassName ?? 'none';
  return {
    code: 'claim_not_expandable',
    message: `the claim ${name} should have ${quantity(bytes)}, and its storage class (${className}) does not let it grow`,
    remedy:
      'Set allowVolumeExpansion: true in the class when its provisioner can do it, or lower spec.answers or spec.redis.storage to what is there. New answers are refused before the volume is full.',
  };
}
