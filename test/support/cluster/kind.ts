import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCall, createTool, findTools, helmHomes } from './client.ts';
import { mustRun, runCommand } from './command.ts';
import type { TestCluster } from './testcluster.ts';

/** Whether `kind` is on PATH and Docker answers. */
export async function kindRuns(): Promise<boolean> {
  const answers = (...argv: string[]) =>
    runCommand(argv, { timeoutMs: 10_000 }).then(
      ({ code }) => code === 0,
      () => false,
    );
  return (await answers('kind', 'version')) && (await answers('docker', 'info'));
}

const prefix = 'untradex-test-';

/**
 * A cluster in Docker, by kind, with what kind has by default: one node of its newest Kubernetes, and volumes that are
 * provisioned and deleted. Clusters of runs that were killed are deleted first: their names tell whose they were.
 */
export async function startKindCluster(): Promise<TestCluster> {
  const tools = findTools(process.env);
  await deleteAbandoned();
  const name = `${prefix}${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), name));
  const kubeconfig = join(folder, 'kubeconfig.yaml');
  const remove = async () => {
    await mustRun(['kind', 'delete', 'cluster', '--name', name], { timeoutMs: 60_000 });
    rmSync(folder, { recursive: true, force: true });
  };
  const create = ['kind', 'create', 'cluster', '--name', name, '--kubeconfig', kubeconfig, '--wait', '180s'];
  try {
    await mustRun(create, { timeoutMs: 600_000 });
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    madeOf: 'kind',
    kubeconfig,
    programs: tools,
    kubectl: createTool(tools.kubectl, kubeconfig, { KUBECACHEDIR: join(folder, 'kubectl') }),
    helm: createTool(tools.helm, kubeconfig, helmHomes(join(folder, 'helm'))),
    call: createCall(kubeconfig),
    async importImage(archive) {
      await mustRun(['kind', 'load', 'image-archive', archive, '--name', name], { timeoutMs: 180_000 });
    },
    resetVolumes: async () => {},
    hostAddress: null,
    logs: null,
    stop: remove,
  };
}

async function deleteAbandoned(): Promise<void> {
  const names = (await mustRun(['kind', 'get', 'clusters'])).split('\n').filter((name) => name.startsWith(prefix));
  for (const name of names) {
    if (existsSync(`/proc/${name.slice(prefix.length)}`)) continue;
    await mustRun(['kind', 'delete', 'cluster', '--name', name]);
  }
}
