import type {
  V1Container,
  V1PersistentVolumeClaimTemplate,
  V1PodTemplateSpec,
  V1StatefulSet,
  V1StatefulSetSpec,
} from '@kubernetes/client-node';
import { quantity } from '../../capacity.ts';
import { type ClusterSettings, paths, ports } from '../clustersettings.ts';
import { covers } from '../covers.ts';
import { digestOf } from '../digest.ts';
import { annotationNames, finalizers, labelsOf, objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';
import { type PodParts, podSecurity, restrictedContainer, templateParts } from './pod.ts';
import { shardConfigFile } from './redisconfigmap.ts';
import { accountsFile } from './secrets.ts';

export interface RedisStatefulSetInput extends Part {
  /** In order of the shards. */
  readonly incarnations: readonly string[];
  readonly image: string;
  readonly maxmemoryBytes: number;
  readonly memoryBytes: number;
  readonly cpu: number;
  /** Of a shard's claim when it is made. */
  readonly storageBytes: number;
  /** Null: the cluster's default class. */
  readonly storageClass: string | null;
  readonly pod: PodParts | undefined;
  /** Name of the ConfigMap. */
  readonly config: string;
  /** Digest of what the session wants, for the next version of the operator. */
  readonly inputs: string;
  readonly settings: ClusterSettings;
}

/** Under `always` nothing that was acknowledged waits to be written: one that is slow to end can be killed. */
const graceSeconds = 30;
/** About half of what a disk of a cluster reads a second, with what Redis makes of it. */
const loadBytesPerSecond = 40_000_000;

/**
 * The shards: a pod and a claim each. `OnDelete`: a pod gets what is new only when it is deleted, which the operator
 * does one at a time, and never because it is a newer operator. Claims stay whatever happens to the rest.
 */
export function redisStatefulSet(input: RedisStatefulSetInput): KubeObject & { readonly spec: V1StatefulSetSpec } {
  const { ref, incarnations, inputs, settings } = input;
  const name = objectNames(ref).redis;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: {
      ...partMetadata(input, 'redis', name),
      annotations: { [annotationNames.inputs]: inputs, [annotationNames.madeBy]: settings.version },
    },
    spec: {
      serviceName: name,
      replicas: incarnations.length,
      selector: { matchLabels: selectorOf(ref, 'redis') },
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      revisionHistoryLimit: 1,
      template: template(input),
      volumeClaimTemplates: [claimTemplate(input)],
    },
  };
}

function template(input: RedisStatefulSetInput): V1PodTemplateSpec {
  const { ref, settings, config } = input;
  const parts = templateParts(input.pod);
  return {
    metadata: {
      labels: { ...parts.labels, ...labelsOf(ref, 'redis') },
      annotations: {
        ...parts.annotations,
        [annotationNames.inputs]: shapeDigest(input),
        [annotationNames.incarnations]: JSON.stringify(input.incarnations),
      },
    },
    spec: {
      ...parts.spec,
      ...podSecurity(settings),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: graceSeconds,
      topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
        ...{ maxSkew: 1, topologyKey, whenUnsatisfiable: 'ScheduleAnyway' },
        labelSelector: { matchLabels: selectorOf(ref, 'redis') },
      })),
      containers: [container(input)],
      volumes: [
        { name: 'config', configMap: { name: config } },
        {
          name: 'accounts',
          secret: {
            secretName: objectNames(ref).secrets.redis,
            items: [{ key: accountsFile, path: accountsFile }],
            defaultMode: 0o440,
          },
        },
      ],
    },
  };
}

/**
 * What a pod must be made anew for when it changes, one pod at a time: the session's wishes and the sizes that follow
 * from them, not how this version of the operator writes them down.
 */
function shapeDigest({ image, maxmemoryBytes, memoryBytes, cpu, pod }: RedisStatefulSetInput): string {
  return digestOf({ image, maxmemoryBytes, memoryBytes, cpu, pod: pod ?? {} });
}

/**
 * Two servers on one file lose what the older one acknowledges, and a pod that was deleted by force works on beside its
 * successor for a second or two. So a server keeps a lock on its volume for as long as it lives: `flock` becomes the
 * server (`--no-fork`), which has the lock's file open, and the kernel frees it with the last process that has. Whoever
 * comes waits so many seconds, then ends and is started again. Not on two nodes at once: there the volume's access
 * mode holds.
 */
const oneAtATime = ['flock', '--exclusive', '--no-fork', '--timeout', '100', `${paths.data}/redis.lock`];

function container({ image, memoryBytes, cpu, storageBytes, settings }: RedisStatefulSetInput): V1Container {
  const memory = quantity(memoryBytes);
  const tcp = { tcpSocket: { port: 'redis' as never } };
  return {
    ...restrictedContainer,
    name: 'redis',
    image,
    imagePullPolicy: settings.images.pullPolicy,
    command: [...oneAtATime, 'redis-server', `${paths.config}/${shardConfigFile('$(SHARD)')}`],
    env: [
      {
        name: 'SHARD',
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" } },
      },
    ],
    ports: [{ name: 'redis', containerPort: ports.redis, protocol: 'TCP' }],
    // No limit of cpu: one that is throttled acknowledges late, though the node may have nothing else to do.
    resources: { requests: { cpu: `${Math.ceil(cpu * 1_000)}m`, memory }, limits: { memory } },
    // As long as a full file takes to be loaded, and two minutes.
    startupProbe: { ...tcp, periodSeconds: 2, failureThreshold: 60 + Math.ceil(storageBytes / loadBytesPerSecond / 2) },
    readinessProbe: { ...tcp, periodSeconds: 5, failureThreshold: 3 },
    // Any answer is one, also that it does not know us or is loading. A disk may hang for a while: two minutes.
    livenessProbe: {
      exec: { command: ['redis-cli', '-p', String(ports.redis), 'ping'] },
      ...{ periodSeconds: 20, timeoutSeconds: 15, failureThreshold: 6 },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'data', mountPath: paths.data },
      { name: 'config', mountPath: paths.config, readOnly: true },
      { name: 'accounts', mountPath: paths.keys, readOnly: true },
    ],
  };
}

function claimTemplate({ ref, storageBytes, storageClass }: RedisStatefulSetInput): V1PersistentVolumeClaimTemplate {
  return {
    metadata: { name: 'data', labels: labelsOf(ref, 'redis'), finalizers: [finalizers.answers] },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: quantity(storageBytes) } },
      ...(storageClass !== null && { storageClassName: storageClass }),
    },
  } as V1PersistentVolumeClaimTemplate;
}

type Live = KubeObject & Pick<V1StatefulSet, 'spec'>;

/**
 * What is to become of the StatefulSet that is there; null when it is right. Its claims' template never changes, and
 * its pods' template only for a reason (see {@link shapeDigest}): other incarnations change nothing but the
 * configuration, and what another version of the operator made for the same wishes stays as it made it.
 * @param isFree nothing is stored yet, so nothing that runs has to be left alone
 */
export function nextStatefulSet(live: KubeObject, built: KubeObject, isFree: boolean): KubeObject | null {
  const { spec } = live as Live;
  const wanted = (built as Live).spec!;
  const template = nextTemplate(live as Live, built as Live, isFree);
  const isKept = keepsPods(live, madeFrom(built), isFree);
  const annotations = {
    ...live.metadata.annotations,
    ...(isKept ? {} : { [annotationNames.inputs]: annotation(built, annotationNames.inputs) }),
    ...(template === wanted.template ? built.metadata.annotations : {}),
  };
  const isRight =
    spec!.replicas === wanted.replicas &&
    template === spec!.template &&
    digestOf(annotations) === digestOf(live.metadata.annotations);
  if (isRight) return null;
  return {
    ...live,
    metadata: { ...live.metadata, annotations: annotations as Record<string, string> },
    spec: { ...spec!, replicas: wanted.replicas, template },
  };
}

/**
 * The StatefulSet with the template that this version makes, when somebody else changed it; null when it is as it was
 * made, or another version made it. No pod is restarted by that, and one that ends is made again as it should be.
 */
export function mendedStatefulSet(live: KubeObject, built: KubeObject): KubeObject | null {
  const { spec } = live as Live;
  const { template } = (built as Live).spec!;
  if (isOfOtherVersion(live as Live, built as Live) || covers(spec!.template, template)) return null;
  return { ...live, spec: { ...spec!, template } };
}

function nextTemplate(live: Live, built: Live, isFree: boolean): V1PodTemplateSpec {
  const [old, wanted] = [live.spec!.template, built.spec!.template];
  if (isFree && (isOfOtherVersion(live, built) || digestOf(pullSecrets(old)) !== digestOf(pullSecrets(wanted)))) {
    return wanted;
  }
  if (shapeOf(old) !== shapeOf(wanted) && !keepsPods(live, madeFrom(built), isFree)) return wanted;
  return incarnationsOf(old) === incarnationsOf(wanted) ? old : withShards(old, wanted);
}

/** What a StatefulSet was made from: a digest of the session's wishes, and the version of the operator. */
export interface MadeFrom {
  readonly inputs: string | undefined;
  readonly version: string | undefined;
}

/** Another version of the operator made it for the same wishes, and something is stored: its pods are left alone. */
export function keepsPods(live: KubeObject, { inputs, version }: MadeFrom, isFree: boolean): boolean {
  const made = madeFrom(live);
  return !isFree && made.version !== version && made.inputs === inputs;
}

function madeFrom(object: KubeObject): MadeFrom {
  return { inputs: annotation(object, annotationNames.inputs), version: annotation(object, annotationNames.madeBy) };
}

function isOfOtherVersion(live: KubeObject, built: KubeObject): boolean {
  return madeFrom(live).version !== madeFrom(built).version;
}

/** What keeps a first start from succeeding may be mended. */
function pullSecrets({ spec }: V1PodTemplateSpec): unknown {
  return (spec?.imagePullSecrets ?? []).map(({ name }) => name);
}

/** The template that is there, with the configuration of other incarnations. */
function withShards(old: V1PodTemplateSpec, wanted: V1PodTemplateSpec): V1PodTemplateSpec {
  const config = wanted.spec!.volumes!.find(({ name }) => name === 'config')!;
  return {
    metadata: {
      ...old.metadata!,
      annotations: { ...old.metadata!.annotations, [annotationNames.incarnations]: incarnationsOf(wanted)! },
    },
    spec: { ...old.spec!, volumes: old.spec!.volumes!.map((volume) => (volume.name === 'config' ? config : volume)) },
  };
}

/** Name of the ConfigMap that pods of this StatefulSet are made with. */
export function configNameOf(statefulSet: KubeObject): string | undefined {
  const { template } = (statefulSet as Live).spec!;
  return template.spec?.volumes?.find(({ name }) => name === 'config')?.configMap?.name;
}

interface Annotated {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> | undefined } | undefined;
}

/** What pods are made with, but for the incarnations. Of a template or a pod. */
export function shapeOf(made: Annotated): string | undefined {
  return annotation(made, annotationNames.inputs);
}

function incarnationsOf(made: Annotated): string | undefined {
  return annotation(made, annotationNames.incarnations);
}

/** Under which incarnation a pod keeps the shard's answers; undefined for a pod that nobody of us made. */
export function incarnationOf(pod: Annotated, shard: number): string | undefined {
  try {
    const incarnations: unknown = JSON.parse(incarnationsOf(pod) ?? '[]');
    const incarnation: unknown = Array.isArray(incarnations) ? incarnations[shard] : undefined;
    return typeof incarnation === 'string' ? incarnation : undefined;
  } catch {
    return undefined;
  }
}

function annotation(object: Annotated, name: string): string | undefined {
  return object.metadata?.annotations?.[name];
}
