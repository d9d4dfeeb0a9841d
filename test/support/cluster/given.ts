import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCall, createTool, findTools, helmHomes } from './client.ts';
import type { TestCluster } from './testcluster.ts';

/** The cluster that the file KUBECONFIG names. Its nodes must be able to pull every image: none can be imported. */
export async function useGivenCluster(env: NodeJS.ProcessEnv): Promise<TestCluster> {
  const kubeconfig = env.KUBECONFIG ?? '';
  if (!existsSync(kubeconfig)) throw new Error(`KUBECONFIG names no file ("${kubeconfig}"): let it name one`);
  const call = createCall(kubeconfig);
  const { status, body } = await call('GET', '/readyz');
  if (status !== 200) throw new Error(`the cluster of ${kubeconfig} is not ready: ${status} ${body.message}`);
  const tools = findTools(env);
  const folder = mkdtempSync(join(tmpdir(), 'untradex-given-'));
  return {
    madeOf: 'given',
    kubeconfig,
    programs: tools,
    kubectl: createTool(tools.kubectl, kubeconfig, { KUBECACHEDIR: join(folder, 'kubectl') }),
    helm: createTool(tools.helm, kubeconfig, helmHomes(join(folder, 'helm'))),
    call,
    importImage: async (archive) => {
      throw new Error(`${archive} cannot be imported into the cluster of ${kubeconfig}: push it where its nodes pull`);
    },
    resetVolumes: async () => {},
    hostAddress: null,
    logs: null,
    stop: async () => rmSync(folder, { recursive: true, force: true }),
  };
}
