import type { Call, Tool } from './client.ts';

/** A whole Kubernetes with at least one node, for tests. */
export interface TestCluster {
  /** What it is made of: `own` programs, `kind` in Docker, or one `given` by KUBECONFIG. */
  readonly madeOf: 'own' | 'kind' | 'given';
  /** Path of the admin's kubeconfig file. */
  readonly kubeconfig: string;
  /** Paths of the programs that talk to it. */
  readonly programs: { readonly kubectl: string; readonly helm: string };
  /** Run to their end, as the admin; killed after `timeoutMs` (60,000). `input` is their stdin. */
  readonly kubectl: Tool;
  readonly helm: Tool;
  readonly call: Call;
  /** Takes an image to the nodes, from a tar as `docker save` makes it. */
  importImage(archive: string): Promise<void>;
  /** Offers volumes again whose claims are gone, emptied. Where volumes are provisioned there is nothing to do. */
  resetVolumes(): Promise<void>;
  /**
   * An address of this machine that pods reach, for servers that a test runs beside the cluster (listening on it or on
   * 0.0.0.0). Null unless `madeOf` is `own`: only then does this machine reach pods and services by their addresses too.
   */
  readonly hostAddress: string | null;
  /** What the cluster's own programs and all containers said: a folder, or null when only the cluster knows. */
  readonly logs: string | null;
  /** Ends it and removes everything of it. A given one is left as it is. */
  stop(): Promise<void>;
}
