import { defaultSettings, type Settings } from '../settings.ts';

/** What the operator is told about its cluster, by its configuration; the same for every session. */
export interface ClusterSettings {
  readonly images: {
    /** Gateway, exporter, operator and CLI. */
    readonly untradex: string;
    /** redis-server 7 or newer, or Valkey under that name, and flock of util-linux, on PATH. */
    readonly redis: string;
    readonly pullPolicy: 'IfNotPresent' | 'Always' | 'Never';
    /** Names of Secrets in the session's namespace. */
    readonly pullSecrets: readonly string[];
  };
  /** `cluster.local` mostly. */
  readonly clusterDomain: string;
  /** Where the operator's own pods are, for the network policies. */
  readonly operator: { readonly namespace: string; readonly podLabels: Readonly<Record<string, string>> };
  /** Class of volumes where a session names none; null: the cluster's default. */
  readonly storageClass: string | null;
  /** Whether network policies are made. */
  readonly networkPolicies: boolean;
  /** Namespaces whose pods may read metrics through the network policies; none when left out. */
  readonly monitoringNamespaces?: readonly string[];
  /** Version of this operator; what it made earlier under another version is left as it is while a session runs. */
  readonly version: string;
}

/** On a cluster events bring passes; the timers are for what sends none. */
export const kubernetesSettings = { ...defaultSettings, startSeconds: 1 } satisfies Settings;

export const ports = { gateway: 8080, ops: 9090, redis: 6379 } as const;

/** Paths within the containers. */
export const paths = {
  /** In the image of Untradex; `node` is on PATH there. */
  gatewayProgram: '/app/dist/gateway.mjs',
  exporterProgram: '/app/dist/exporter.mjs',
  operatorProgram: '/app/dist/operator.mjs',
  cliProgram: '/app/dist/untradex.mjs',
  config: '/etc/untradex',
  keys: '/etc/untradex-keys',
  data: '/data',
  export: '/export',
} as const;

/** User and group of every container: the image's, and no name on any node. */
export const runAs = 65532;
