import { type Component, labelsOf, type SessionRef } from '../names.ts';
import type { KubeObject, ObjectMeta, OwnerReference } from '../runtime/object.ts';

/** Whose part an object is. */
export interface Part {
  readonly ref: SessionRef;
  /** The ExamSession: what is made goes when it goes. */
  readonly owner: KubeObject;
}

/** Name, labels and owner of an object that goes with its session. */
export function partMetadata({ ref, owner }: Part, component: Component, name: string): ObjectMeta {
  const { apiVersion, kind } = owner;
  const reference: OwnerReference = {
    ...{ apiVersion, kind, name: ref.name, uid: ref.uid },
    ...{ controller: true, blockOwnerDeletion: true },
  };
  return { name, namespace: ref.namespace, labels: labelsOf(ref, component), ownerReferences: [reference] };
}
