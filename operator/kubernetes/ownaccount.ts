import { readFile } from 'node:fs/promises';
import { decodeJwt } from 'jose';
import type { OwnerReference } from './runtime/object.ts';

const tokenFile = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * The ServiceAccount that this program runs as, to own what it makes for itself: with the account, which goes when the
 * chart is uninstalled, the cluster removes that as well. Null outside of a pod.
 */
export async function ownAccount(file = tokenFile): Promise<OwnerReference | null> {
  try {
    const claims = decodeJwt(await readFile(file, 'utf8')) as AccountClaims;
    const { name, uid } = claims['kubernetes.io']?.serviceaccount ?? {};
    return name && uid ? { apiVersion: 'v1', kind: 'ServiceAccount', name, uid } : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

interface AccountClaims {
  readonly 'kubernetes.io'?: { readonly serviceaccount?: { readonly name?: string; readonly uid?: string } };
}
