type Environment = Readonly<Record<string, string | undefined>>;
/** Where each program is; null when no place has all of them. Without `programs`: those that an API server takes. */
export function findKubernetes<Program extends string = 'etcd' | 'kube-apiserver' | 'kubectl'>(
  env: Environment,
  programs?: readonly Program[],
): Readonly<Record<Program, string>> | null;
export const variable: string;
export const version: string;
