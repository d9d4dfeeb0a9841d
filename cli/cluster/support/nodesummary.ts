import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { table } from '../../table.ts';

interface NodeObject extends KubeObject {
  readonly spec: { readonly unschedulable?: boolean; readonly taints?: readonly { key: string; effect: string }[] };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly nodeInfo?: {
      readonly kubeletVersion: string;
      readonly osImage: string;
      readonly containerRuntimeVersion: string;
    };
    readonly allocatable?: Readonly<Record<string, string>>;
  };
}

/** Pure: a line a node. */
export function nodeSummary(nodes: readonly KubeObject[]): string[] {
  const titles = ['NAME', 'CONDITIONS', 'VERSION', 'RUNTIME', 'OS', 'CPU', 'MEMORY', 'PODS', 'TAINTS'];
  const rows = (nodes as readonly NodeObject[]).map(({ metadata, spec, status }) => {
    const { nodeInfo, allocatable = {}, conditions = [] } = status;
    const hold = conditions.filter((condition) => condition.status === 'True').map(({ type }) => type);
    const taints = (spec.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
    return [
      metadata.name,
      [...hold, ...(spec.unschedulable ? ['Unschedulable'] : [])].join(',') || 'none',
      ...[nodeInfo?.kubeletVersion ?? '', nodeInfo?.containerRuntimeVersion ?? '', nodeInfo?.osImage ?? ''],
      ...[allocatable.cpu ?? '', allocatable.memory ?? '', allocatable.pods ?? ''],
      taints.join(',') || 'none',
    ];
  });
  return table(titles, rows);
}
