import { quantity } from '../../capacity.ts';
import { runAs } from '../clustersettings.ts';
import type { KubeObject, OwnerReference } from '../runtime/object.ts';

/**
 * What every pod of a session has in common: the profile `restricted` of the Pod Security Standards, a read-only root
 * file system, and no token of the API server unless a program needs one. Pure.
 */

/** What a session may say about the pods of one kind of program (`spec.*.pod`). */
export interface PodParts {
  readonly nodeSelector?: Readonly<Record<string, string>> | undefined;
  readonly tolerations?: readonly object[] | undefined;
  readonly affinity?: object | undefined;
  readonly priorityClassName?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface PodInput {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** From the session. Its labels and annotations never take the place of ours. */
  readonly parts?: PodParts | undefined;
  readonly pullSecrets: readonly string[];
  readonly containers: readonly object[];
  readonly volumes?: readonly object[];
  /** Given only for a program that talks to the API server: its pods then get a token. */
  readonly serviceAccountName?: string;
  /** Seconds between SIGTERM and SIGKILL. */
  readonly graceSeconds: number;
  /** `Always` when left out; Jobs take the others. */
  readonly restartPolicy?: 'OnFailure' | 'Never';
  /** Where the session says nothing about affinity. */
  readonly affinity?: object;
  readonly topologySpreadConstraints?: readonly object[];
}

/** `template` of a workload. */
export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export function restrictedPod(input: PodInput): PodTemplate {
  const { labels, annotations, parts, pullSecrets, containers, volumes, serviceAccountName, restartPolicy } = input;
  const { topologySpreadConstraints, graceSeconds } = input;
  const given = podParts(parts);
  const affinity = given.spec.affinity ?? input.affinity;
  const allAnnotations = { ...given.metadata.annotations, ...annotations };
  return {
    metadata: {
      labels: { ...given.metadata.labels, ...labels },
      ...(Object.keys(allAnnotations).length > 0 && { annotations: allAnnotations }),
    },
    spec: {
      ...given.spec,
      ...(affinity && { affinity }),
      ...(topologySpreadConstraints && { topologySpreadConstraints }),
      ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((name) => ({ name })) }),
      ...(serviceAccountName !== undefined && { serviceAccountName }),
      automountServiceAccountToken: serviceAccountName !== undefined,
      // The addresses of a namespace's services in the environment are of no use here, and there may be thousands.
      enableServiceLinks: false,
      ...(restartPolicy && { restartPolicy }),
      terminationGracePeriodSeconds: graceSeconds,
      securityContext: podSecurity,
      containers,
      ...(volumes && volumes.length > 0 && { volumes }),
    },
  };
}

const podSecurity = {
  runAsNonRoot: true,
  runAsUser: runAs,
  runAsGroup: runAs,
  fsGroup: runAs,
  // A volume with a million files would otherwise be walked at each start.
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

/** The session's wishes, sorted into metadata and spec; what it does not say is left out. */
export function podParts(parts: PodParts = {}): {
  metadata: { labels: Readonly<Record<string, string>>; annotations: Readonly<Record<string, string>> };
  spec: Readonly<Record<string, unknown>>;
} {
  const { nodeSelector, tolerations, affinity, priorityClassName, annotations = {}, labels = {} } = parts;
  return {
    metadata: { labels, annotations },
    spec: {
      ...(nodeSelector && { nodeSelector }),
      ...(tolerations && tolerations.length > 0 && { tolerations }),
      ...(affinity && { affinity }),
      ...(priorityClassName !== undefined && { priorityClassName }),
    },
  };
}

export interface ContainerInput {
  readonly name: string;
  readonly image: string;
  readonly pullPolicy: string;
  /** Takes the place of the image's entrypoint, whatever that is. No image needs a shell. */
  readonly command: readonly string[];
  readonly env?: readonly object[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly mounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly resources: ContainerResources;
  /** startupProbe, readinessProbe, livenessProbe, lifecycle. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export interface ContainerResources {
  /** Cores that are reserved; more may be used when a node has them. */
  readonly cpu: number;
  /** Reserved, and the limit. */
  readonly memoryBytes: number;
}

export function restrictedContainer(input: ContainerInput): Readonly<Record<string, unknown>> {
  const { name, image, pullPolicy, command, env, ports, mounts, resources, more } = input;
  const memory = quantity(resources.memoryBytes);
  return {
    name,
    image,
    imagePullPolicy: pullPolicy,
    command,
    ...(env && { env }),
    ...(ports && { ports: ports.map((port) => ({ ...port, protocol: 'TCP' })) }),
    // No limit of cpu: a program that is throttled answers late, though the node may have nothing else to do.
    resources: { requests: { cpu: `${Math.ceil(resources.cpu * 1_000)}m`, memory }, limits: { memory } },
    volumeMounts: mounts,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    // Where a program leaves no word in its termination log, the end of its log says why it ended.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...more,
  };
}

/** Makes an object go with its session. */
export function ownerReference({ apiVersion, kind, metadata: { name, uid } }: KubeObject): OwnerReference {
  if (uid === undefined) throw new TypeError(`${kind} ${name} has no uid: it was not read from the API server`);
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}
