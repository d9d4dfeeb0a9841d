import { clusterPrograms, findKubernetes } from '#setup/findkubernetes.cjs';

export type Binaries = NonNullable<ReturnType<typeof findClusterPrograms>>;

/** Where the programs of a whole cluster are; null when some are missing. */
export function findClusterPrograms(env: NodeJS.ProcessEnv) {
  return findKubernetes(env, clusterPrograms);
}
