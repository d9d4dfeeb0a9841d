import { startOwnCluster } from './own.ts';
import type { TestCluster } from './testcluster.ts';

export async function chooseCluster(_env: NodeJS.ProcessEnv): Promise<TestCluster> {
  return startOwnCluster();
}
