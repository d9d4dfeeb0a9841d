import { annotationNames } from '#operator/kubernetes/names.ts';
import type { ClusterPlace } from './clusterplace.ts';

/** False when it was so before. */
export async function setPaused({ api, ref, object }: ClusterPlace, paused: boolean): Promise<boolean> {
  const isPaused = object.metadata.annotations?.[annotationNames.paused] === 'true';
  if (isPaused === paused) return false;
  const { apiVersion, kind } = object;
  const annotations = { [annotationNames.paused]: paused ? 'true' : null };
  // The uid is a precondition: another session under the name is not meant.
  const body = { metadata: { uid: ref.uid, annotations } };
  await api.patch({ apiVersion, kind, namespace: ref.namespace, name: ref.name }, body, { type: 'merge' });
  return true;
}
