import type { V1PersistentVolumeClaimSpec } from '@kubernetes/client-node';
import type { ExporterPods } from '../exporterconfig.ts';
import { finalizers, labelsOf, objectNames, type SessionRef } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';

/**
 * Keeps the DuckDB database, what was staged (the archive), and the report. It belongs to nobody, so that it outlives
 * its session, and its finalizer keeps it until somebody decides that it may go.
 */
export function exportClaim(ref: SessionRef, { storage, storageClass }: ExporterPods['claim']): KubeObject {
  const spec: V1PersistentVolumeClaimSpec = {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage } },
    ...(storageClass !== null && { storageClassName: storageClass }),
  };
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: objectNames(ref).exportClaim,
      namespace: ref.namespace,
      labels: labelsOf(ref, 'exporter'),
      finalizers: [finalizers.answers],
    },
    spec,
  };
}
