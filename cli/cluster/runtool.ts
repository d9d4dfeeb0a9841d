import { note } from '../output.ts';
import type { ClusterPlace } from './clusterplace.ts';
import { createPodLogs } from './podlog.ts';
import { pullSecretsOf } from './sessionfacts.ts';
import { runToolJob, type ToolJob } from './tooljob.ts';

/** What a command says about its Job; whose part it is follows from the place. */
export type Tool = Omit<ToolJob, 'ref' | 'owner'>;

/**
 * Runs a tool of the session, told on stderr while it waits.
 * @param onLine told of each line that it prints
 * @returns its exit code
 */
export async function runTool(
  place: ClusterPlace,
  tool: Tool,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<number> {
  const { api, ref, object, connection } = place;
  const logs = createPodLogs(connection);
  try {
    const imagePullSecrets = await pullSecretsOf(api, ref);
    const pod = { ...(imagePullSecrets.length > 0 && { imagePullSecrets }), ...tool.pod };
    const onWait = (why: string) => note(`the pod of this command has not started: ${why}`);
    return await runToolJob({ ...tool, ref, owner: object, pod }, { api, logs, signal, onLine, onWait });
  } finally {
    logs.close();
  }
}
