import type { V1Deployment } from '@kubernetes/client-node';
import type { KubeObject } from './runtime/object.ts';

/** A Deployment as the API gives it. */
export type DeploymentView = KubeObject & Pick<V1Deployment, 'spec' | 'status'>;

/** How many pods a workload (a Deployment, a StatefulSet) is to have. */
export function replicasOf(workload: KubeObject): number {
  return (workload as DeploymentView).spec?.replicas ?? 1;
}

/** All its pods are of its newest template, and those before are gone. */
export function isRolledOut({ metadata, spec, status }: DeploymentView): boolean {
  const replicas = spec?.replicas ?? 1;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) return false;
  return (status?.updatedReplicas ?? 0) === replicas && (status?.replicas ?? 0) === replicas;
}
