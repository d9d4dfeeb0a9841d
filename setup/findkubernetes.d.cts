type Environment = Readonly<Record<string, string | undefined>>;
type ApiServerProgram = 'etcd' | 'kube-apiserver' | 'kubectl';
type ClusterProgram =
  | ApiServerProgram
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubelet'
  | 'kube-proxy'
  | 'coredns'
  | 'pause'
  | 'probe'
  | 'helm';
/** Where each program is; null when some are nowhere. Without `programs`: those that an API server takes. */
export function findKubernetes<Program extends string = ApiServerProgram>(
  env: Environment,
  programs?: readonly Program[],
): Readonly<Record<Program, string>> | null;
export const clusterPrograms: readonly ClusterProgram[];
export const variable: string;
export const version: string;
