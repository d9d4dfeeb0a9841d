import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionRef } from '#operator/kubernetes/names.ts';
import type { SessionStatus } from '#operator/status.ts';
import type { Hall } from './hall.ts';

const definition = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/examsessions.untradex.io';
const rulesPath = '/spec/versions/0/schema/openAPIV3Schema/x-kubernetes-validations';

interface Definition {
  readonly spec: {
    readonly versions: [{ schema: { openAPIV3Schema: { 'x-kubernetes-validations': readonly object[] } } }];
  };
}

/** Puts the whole status, as a restored etcd has it: rules of the definition are not asked. */
export async function restoreStatus(hall: Hall, ref: SessionRef, status: SessionStatus): Promise<void> {
  const { body } = await hall.cluster.call('GET', definition);
  const value = (body as unknown as Definition).spec.versions[0].schema.openAPIV3Schema['x-kubernetes-validations'];
  await patchDefinition(hall, { op: 'remove', path: rulesPath });
  try {
    // The new definition is in force a moment later.
    await putStatus(hall, ref, status, 5_000);
  } finally {
    await patchDefinition(hall, { op: 'add', path: rulesPath, value });
  }
}

async function patchDefinition({ cluster }: Hall, change: object): Promise<void> {
  const contentType = 'application/json-patch+json';
  const { status, body } = await cluster.call('PATCH', definition, { body: [change], contentType });
  if (status !== 200) throw new Error(`the definition cannot be changed: ${body.message}`);
}

/** Replaces the whole status: a patch would keep what the old one had not yet. Refused, it is tried again for a while. */
export async function putStatus(hall: Hall, ref: SessionRef, status: SessionStatus, forMs = 0): Promise<void> {
  const path = `/apis/untradex.io/v1alpha1/namespaces/${ref.namespace}/examsessions/${ref.name}/status`;
  const end = performance.now() + forMs;
  for (;;) {
    const live = (await hall.session(ref))!;
    const reply = await hall.cluster.call('PUT', path, { body: { ...live, status } });
    if (reply.status === 200) return;
    if (reply.status !== 409 && performance.now() > end) throw new Error(String(reply.body.message));
    await sleep(50);
  }
}
