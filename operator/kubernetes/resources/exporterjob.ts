import type { V1Container, V1PodTemplateSpec, V1Volume } from '@kubernetes/client-node';
import { type ClusterSettings, paths, ports } from '../clustersettings.ts';
import { databaseSecretPath, type ExporterPods, exporterFiles, outcomeFile } from '../exporterconfig.ts';
import { labelNames, labelsOf, objectNames } from '../names.ts';
import type { KubeObject, ObjectMeta } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';
import { podSecurity, restrictedContainer, templateParts } from './pod.ts';

export interface ExporterJobInput extends Part {
  readonly attempt: number;
  readonly pods: ExporterPods;
  readonly settings: ClusterSettings;
}

/** An exporter that is told to end does so within 2 s (exporter/main.ts). */
const graceSeconds = 10;

/** An attempt is never repaired, so nothing of it is started twice, and one pod that ends badly ends its Job. */
const neverAgain = {
  podReplacementPolicy: 'Failed',
  podFailurePolicy: {
    rules: [{ action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
  },
} as const;

/** A loader a shard: the pod's index is the shard. */
export function loadJob(input: ExporterJobInput): KubeObject {
  const { shards, loaders, loadersOnClaim } = input.pods;
  return job(input, objectNames(input.ref).loadJob(input.attempt), {
    completionMode: 'Indexed',
    completions: shards,
    parallelism: loaders,
    backoffLimitPerIndex: 0,
    maxFailedIndexes: 0,
    ...neverAgain,
    template: template(input, 'load', loadersOnClaim),
  });
}

/** The publisher, which also proves what it published. */
export function publishJob(input: ExporterJobInput): KubeObject {
  return job(input, objectNames(input.ref).publishJob(input.attempt), {
    completions: 1,
    parallelism: 1,
    backoffLimit: 0,
    ...neverAgain,
    template: template(input, 'publish', true),
  });
}

/** Labels of an attempt's ConfigMap, Jobs and pods. */
export function attemptMetadata(part: Part, attempt: number, name: string): ObjectMeta {
  const metadata = partMetadata(part, 'exporter', name);
  return { ...metadata, labels: { ...metadata.labels, [labelNames.attempt]: String(attempt) } };
}

function job(input: ExporterJobInput, name: string, spec: object): KubeObject {
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: attemptMetadata(input, input.attempt, name), spec };
}

function template(input: ExporterJobInput, command: 'load' | 'publish', onClaim: boolean): V1PodTemplateSpec {
  const { ref, attempt, pods, settings } = input;
  const parts = templateParts(pods.pod);
  const volumes = volumesOf(input, onClaim);
  return {
    metadata: {
      labels: { ...parts.labels, ...labelsOf(ref, 'exporter'), [labelNames.attempt]: String(attempt) },
      // Moved to another node it would be another attempt.
      annotations: { ...parts.annotations, 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' },
    },
    spec: {
      ...parts.spec,
      ...podSecurity(settings),
      restartPolicy: 'Never',
      serviceAccountName: objectNames(ref).exporter,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: graceSeconds,
      containers: [container(input, command, volumes)],
      volumes: volumes.map(({ volume }) => volume),
    },
  };
}

function container(
  { pods, settings }: ExporterJobInput,
  command: 'load' | 'publish',
  volumes: readonly Mounted[],
): V1Container {
  const { image, cpu, memory } = pods;
  return {
    ...restrictedContainer,
    name: 'exporter',
    image,
    imagePullPolicy: settings.images.pullPolicy,
    command: ['node', paths.exporterProgram],
    args: [command, '--config', `${paths.config}/${exporterFiles.config}`],
    ports: [{ name: 'ops', containerPort: ports.ops, protocol: 'TCP' }],
    resources: { requests: { cpu, memory }, limits: { memory } },
    // One that hangs for ten minutes is given up; whatever else happens it says itself.
    livenessProbe: {
      httpGet: { path: '/live', port: 'ops' as never },
      ...{ initialDelaySeconds: 30, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 20 },
    },
    terminationMessagePath: outcomeFile,
    // The last lines of the log, when it had no last words.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: volumes.map(({ volume: { name }, mount }) => ({ name, ...mount })),
  };
}

interface Mounted {
  readonly volume: V1Volume;
  readonly mount: { readonly mountPath: string; readonly readOnly?: boolean };
}

function volumesOf({ ref, attempt, pods }: ExporterJobInput, onClaim: boolean): Mounted[] {
  const names = objectNames(ref);
  const items = (...keys: string[]) => keys.map((key) => ({ key, path: key }));
  const config = { name: names.attempt(attempt), items: items(exporterFiles.config, ...rosterOf(pods)) };
  const keys = { secretName: names.secrets.exporter, items: items('redis-password'), defaultMode: 0o440 };
  const mounted: Mounted[] = [
    { volume: { name: 'config', configMap: config }, mount: { mountPath: paths.config, readOnly: true } },
    { volume: { name: 'keys', secret: keys }, mount: { mountPath: paths.keys, readOnly: true } },
    { volume: { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } }, mount: { mountPath: '/tmp' } },
  ];
  if (pods.databaseSecret !== null) {
    const secret = { secretName: pods.databaseSecret, defaultMode: 0o440 };
    mounted.push({ volume: { name: 'database', secret }, mount: { mountPath: databaseSecretPath, readOnly: true } });
  }
  if (onClaim) {
    const persistentVolumeClaim = { claimName: names.exportClaim };
    mounted.push({ volume: { name: 'export', persistentVolumeClaim }, mount: { mountPath: paths.export } });
  }
  return mounted;
}

function rosterOf({ withRoster }: ExporterPods): string[] {
  return withRoster ? [exporterFiles.roster] : [];
}
