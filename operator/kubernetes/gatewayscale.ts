import { isProblem } from '#queue/problem.ts';
import { replicasOf } from './deploymentview.ts';
import { managedBy } from './names.ts';
import { type ReplicaRange, replicasToSet } from './resources/autoscaler.ts';
import type { Api, ObjectRef } from './runtime/api.ts';
import type { KubeObject } from './runtime/object.ts';

const mostTries = 3;

/**
 * Sets a Deployment's number of pods when it is outside of `range`, and only then: in between it is an autoscaler's.
 * It never undoes what an autoscaler did in the same moment.
 * @param known the Deployment: as it was just read (`isLive`), or as a cache has it
 * @returns the Deployment when it was scaled
 */
export async function scaleInto(
  range: ReplicaRange,
  api: Pick<Api, 'get' | 'patch'>,
  ref: ObjectRef,
  known: { readonly deployment: KubeObject | null; readonly isLive: boolean },
): Promise<KubeObject | null> {
  let { deployment, isLive } = known;
  for (let tries = 0; tries < mostTries; tries++) {
    const replicas = deployment === null ? null : replicasToSet(replicasOf(deployment), range);
    if (deployment === null || replicas === null) return null;
    const body = { metadata: { resourceVersion: deployment.metadata.resourceVersion }, spec: { replicas } };
    const options = { type: 'merge', manager: managedBy } as const;
    const scaled = isLive ? await unlessConflict(api.patch(ref, body, options)) : null;
    if (scaled !== null) return scaled;
    deployment = await api.get(ref);
    isLive = true;
  }
  // It changes all the time: each change brings a pass, which looks again.
  return null;
}

/** Null when somebody changed the object meanwhile. */
async function unlessConflict<T>(write: Promise<T>): Promise<T | null> {
  try {
    return await write;
  } catch (error) {
    if (isProblem(error) && error.code === 'api_conflict') return null;
    throw error;
  }
}
