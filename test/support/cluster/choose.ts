import { useGivenCluster } from './given.ts';
import { kindRuns, startKindCluster } from './kind.ts';
import { startOwnCluster, whyNoOwnCluster } from './own.ts';
import type { TestCluster } from './testcluster.ts';

/** Set to `kubeconfig`, `kind` or `own`, it takes that one and no other. */
const variable = 'UNTRADEX_TEST_CLUSTER';

const makers = { kubeconfig: useGivenCluster, kind: startKindCluster, own: startOwnCluster } as const;

/**
 * Gets a cluster: the one that KUBECONFIG names, when UNTRADEX_TEST_CLUSTER=kubeconfig asks for it (the tests change
 * what they find there), one by kind where it and Docker run, else one of this machine's own programs.
 */
export async function chooseCluster(env: NodeJS.ProcessEnv): Promise<TestCluster> {
  const asked = env[variable];
  if (asked) {
    if (!Object.hasOwn(makers, asked)) throw new Error(`${variable} is "${asked}": it may be kubeconfig, kind or own`);
    return makers[asked as keyof typeof makers](env);
  }
  return (await kindRuns()) ? startKindCluster() : startOwnCluster();
}

/** Why this machine is not of a kind that can have a cluster, in one line; null when it is. */
export async function whyNoCluster(env: NodeJS.ProcessEnv): Promise<string | null> {
  return env[variable] || (await kindRuns()) ? null : whyNoOwnCluster();
}
