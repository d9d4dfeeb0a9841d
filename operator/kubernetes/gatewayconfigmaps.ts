import { type SessionRef, selectorText } from './names.ts';
import type { Api } from './runtime/api.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' } as const;

/** Removes the gateways' configurations of a session, but for the names in `used`. They are read live. */
export async function removeConfigMaps(
  api: Pick<Api, 'list' | 'remove'>,
  ref: SessionRef,
  used: ReadonlySet<string | undefined> = new Set(),
): Promise<void> {
  const labelSelector = selectorText(ref, 'gateway');
  const { items } = await api.list({ ...kind, namespace: ref.namespace, labelSelector });
  for (const { metadata } of items) {
    if (used.has(metadata.name)) continue;
    const { name, uid } = metadata;
    await api.remove({ ...kind, namespace: ref.namespace, name }, uid === undefined ? {} : { uid });
  }
}
