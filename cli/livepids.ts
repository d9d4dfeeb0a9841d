import { readJson } from '#operator/local/datafolder.ts';
import { startOf } from '#operator/local/processes.ts';
import type { Pids } from './chaos.ts';
import type { Folder } from './folder.ts';
import { readStatus } from './statusfile.ts';

/**
 * The processes that the status names, as far as they are still the ones that `run` started: a run that was killed
 * leaves its last status behind, and its pids may be somebody else's by now.
 */
export async function livePids(folder: Folder): Promise<Pids> {
  const status = await readStatus(folder);
  const children = (await readJson<{ pid: number; start: string }[]>(folder.at.children)) ?? [];
  const starts = new Map(children.map(({ pid, start }) => [pid, start]));
  const live = async (pids: readonly number[]) => {
    const found = await Promise.all(pids.map(async (pid) => ({ pid, start: await startOf(pid) })));
    return found.filter(({ pid, start }) => start !== null && start === starts.get(pid)).map(({ pid }) => pid);
  };
  return { gateway: await live(status?.pids.gateway ?? []), redis: await live(status?.pids.redis ?? []) };
}
