import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Call } from './client.ts';
import { nodeName } from './worker.ts';

/**
 * Volumes of the kind `local`, made beforehand, since nothing provisions any here. (A `hostPath` would not be given to
 * the group that a pod asks for.) They are retained, so one that was bound stays Released until it is reset.
 */
const count = 24;
const storageClass = 'standard';

export function volumeObjects(folder: string) {
  return [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: storageClass, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: 'kubernetes.io/no-provisioner',
      volumeBindingMode: 'WaitForFirstConsumer',
      reclaimPolicy: 'Retain',
    },
    ...names().map((name) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '10Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: storageClass,
        local: { path: emptyFolder(folder, name) },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onThisNode] }] } },
      },
    })),
  ];
}

const onThisNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] };

/** Empties the volumes whose claims are gone, and offers them again. */
export async function resetVolumes(folder: string, call: Call): Promise<void> {
  const { body } = await call('GET', '/api/v1/persistentvolumes');
  const items = (body as { items: { metadata: { name: string }; status: { phase: string } }[] }).items;
  for (const { metadata, status } of items) {
    if (status.phase !== 'Released' || !names().includes(metadata.name)) continue;
    emptyFolder(folder, metadata.name);
    const change = [{ op: 'remove', path: '/spec/claimRef' }];
    const path = `/api/v1/persistentvolumes/${metadata.name}`;
    const reply = await call('PATCH', path, { body: change, contentType: 'application/json-patch+json' });
    if (reply.status !== 200) throw new Error(`${metadata.name} cannot be offered again: ${reply.body.message}`);
  }
}

function names(): string[] {
  return Array.from({ length: count }, (_, index) => `volume-${index}`);
}

function emptyFolder(folder: string, name: string): string {
  const path = join(folder, 'volumes', name);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return path;
}
