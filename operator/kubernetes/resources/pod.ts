import type { V1Affinity, V1Container, V1PodSpec, V1Toleration } from '@kubernetes/client-node';
import { type ClusterSettings, runAs } from '../clustersettings.ts';

/**
 * What the pods of a session have in common: the profile `restricted` of the Pod Security Standards on top of a
 * read-only root file system, and what a session may say about its pods. Pure.
 */

/** `spec.*.pod` of a session. */
export interface PodParts {
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  readonly tolerations?: readonly object[] | undefined;
  readonly affinity?: object | undefined;
  readonly priorityClassName?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** The session's wishes, sorted to where a pod template has them. Ours go over its labels and annotations. */
export function templateParts(parts: PodParts = {}): {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  spec: Pick<V1PodSpec, 'nodeSelector' | 'tolerations' | 'affinity' | 'priorityClassName'>;
} {
  const { nodeSelector, tolerations = [], affinity, priorityClassName, annotations, labels } = parts;
  return {
    labels: { ...labels },
    annotations: { ...annotations },
    spec: {
      ...(nodeSelector && { nodeSelector: { ...nodeSelector } }),
      ...(tolerations.length > 0 && { tolerations: [...tolerations] as V1Toleration[] }),
      ...(affinity && { affinity: affinity as V1Affinity }),
      ...(priorityClassName !== undefined && { priorityClassName }),
    },
  };
}

/** For `spec` of every pod template. */
export function podSecurity(settings: Pick<ClusterSettings, 'images'>) {
  const { pullSecrets } = settings.images;
  return {
    ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: runAs,
      runAsGroup: runAs,
      fsGroup: runAs,
      // Else all files of a volume would be walked at each start.
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
  } satisfies Partial<V1PodSpec>;
}

/** For every container. */
export const restrictedContainer = {
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  },
} satisfies Partial<V1Container>;
