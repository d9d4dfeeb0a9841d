import type { Command } from 'commander';
import type { ExamSession } from '#operator/examsession.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import type { SessionStatus } from '#operator/status.ts';
import { problem } from '#queue/problem.ts';
import { isPlugin } from './plugin.ts';
import type { TokenMint } from './studenttoken.ts';

/** A status, with what is true of one machine only where the session is on one. */
export type PlaceStatus = SessionStatus & Partial<Pick<LocalStatus, 'dataDir' | 'pids'>>;

/** Where a session is: in a data folder of this machine, or on a cluster. The same commands work on both. */
export interface Place {
  readonly session: ExamSession;
  /** The session as a further command names it: `algebra --data exam`, `algebra -n maths`. */
  readonly words: string;
  /** Null before the first one was written. */
  readStatus(): Promise<PlaceStatus | null>;
  /** The status now and whenever it differs, until `signal` is aborted. */
  followStatus(signal: AbortSignal): AsyncGenerator<PlaceStatus>;
  /** Asks for the end of the exam. False when it was asked for before. */
  finalize(): Promise<boolean>;
  mint(): Promise<TokenMint>;
  /** Why nothing happens, when nobody seems to be at work; null when somebody is, or when that cannot be seen. */
  idle(): string | null;
}

export interface PlaceOptions {
  readonly data?: string;
  readonly namespace?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
}

/** The options that say where a session is. */
export function placeOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'the data folder of a session on this machine')
    .option('-n, --namespace <name>', 'the namespace of a session on a cluster')
    .option('--context <name>', 'the context of the kubeconfig, for a session on a cluster')
    .option('--kubeconfig <file>', 'the kubeconfig, for a session on a cluster');
}

/** @throws Problem `usage` when it is not clear which */
export function isOnCluster({ data, namespace, context, kubeconfig }: PlaceOptions, plugin = isPlugin()): boolean {
  const cluster = namespace !== undefined || context !== undefined || kubeconfig !== undefined;
  if (data !== undefined && cluster) {
    throw problem('usage', 'a session is in a folder or on a cluster', 'give --data alone, or leave it out');
  }
  if (data !== undefined) return false;
  if (cluster || plugin) return true;
  const remedy = 'give its folder with --data DIR, or its namespace on a cluster with -n NAMESPACE';
  throw problem('usage', 'it is not said where the session is', remedy);
}

/**
 * @param name left out: the only one that is there
 * @throws Problem: no such session, no such folder, a cluster that does not answer
 */
export async function openPlace(options: PlaceOptions, name: string | undefined): Promise<Place> {
  if (isOnCluster(options)) {
    const { openClusterPlace } = await import('./cluster/clusterplace.ts');
    return openClusterPlace(options, name);
  }
  const { openFolderPlace } = await import('./folderplace.ts');
  return openFolderPlace(options.data!, name);
}
