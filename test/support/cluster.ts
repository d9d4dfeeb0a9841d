import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onScopeEnd } from './cleanup.ts';
import { chooseCluster } from './cluster/choose.ts';
import type { TestCluster } from './cluster/testcluster.ts';

/**
 * A whole Kubernetes, stopped at the end of the test, or of the file when called in `beforeAll` with a timeout of a
 * minute or two: the way to have one cluster for all tests of a file. cluster/choose.ts tells which one it is; files
 * that run at the same time have each their own. When a test failed, what the cluster's programs said is kept.
 */
export async function startCluster(): Promise<TestCluster> {
  const cluster = await chooseCluster(process.env);
  onScopeEnd(async (failed) => {
    if (failed && cluster.logs !== null) keepLogs(cluster.logs);
    await cluster.stop();
  });
  return cluster;
}

function keepLogs(logs: string): void {
  const kept = mkdtempSync(join(tmpdir(), 'untradex-cluster-logs-'));
  cpSync(logs, kept, { recursive: true });
  console.error(`kept for a look: ${kept}`);
}
