import { randomBytes } from 'node:crypto';
import type { V1PodSpec } from '@kubernetes/client-node';
import { paths } from '#operator/kubernetes/clustersettings.ts';
import { objectNames } from '#operator/kubernetes/names.ts';
import { type Part, partMetadata } from '#operator/kubernetes/resources/part.ts';
import { podSecurity, restrictedContainer } from '#operator/kubernetes/resources/pod.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { containerLog, type LogSource } from './containerlog.ts';
import { waitForEnd, waitForStart } from './toolpod.ts';

/** A command of this CLI that runs within the cluster, where it reaches what it needs, and tells its output here. */
export interface ToolJob extends Part {
  /** One word, for the names of what is made. */
  readonly what: string;
  readonly image: string;
  /** Arguments of `untradex`. */
  readonly args: readonly string[];
  /** Files at `paths.config`, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** Further volumes, each with the path that it is mounted at. */
  readonly mounts: readonly ToolMount[];
  readonly memory: string;
  /** How long it may take at most, in seconds; the cluster ends it then. */
  readonly withinSeconds: number;
  /** Where its pod may run, and what it is pulled with. */
  readonly pod?: Pick<
    V1PodSpec,
    'imagePullSecrets' | 'nodeSelector' | 'tolerations' | 'affinity' | 'priorityClassName'
  >;
}

export interface ToolMount {
  readonly path: string;
  readonly volume: object;
  readonly readOnly: boolean;
}

export interface ToolJobParts extends LogSource {
  readonly signal: AbortSignal;
  /** Told of each line that the command prints. */
  onLine(line: string): void;
  /** Told what keeps the pod from starting. */
  onWait(why: string): void;
}

/** What somebody forgot goes by itself. */
const keepSeconds = 600;
const containerName = 'untradex';

/**
 * Makes the Job, follows its log, and removes it, also when `signal` is aborted. Never restarted: a rehearsal that
 * plays twice would be another one.
 * @returns the exit code of the command
 * @throws Problem `job_not_started`, `job_ended`
 */
export async function runToolJob(job: ToolJob, parts: ToolJobParts): Promise<number> {
  const { api, signal, onLine } = parts;
  const { namespace } = job.ref;
  const name = `${objectNames(job.ref).base}-${job.what}-${randomBytes(3).toString('hex')}`;
  const made = await api.create(jobObject(job, name));
  try {
    await api.create(configMap(job, name, made));
    const pod = await waitForStart(parts, { namespace, name });
    const container = { namespace, pod: pod.metadata.name, uid: pod.metadata.uid!, container: containerName };
    for await (const { text } of containerLog(parts, container, { follow: true }, signal)) onLine(text);
    return await waitForEnd(parts, { namespace, name: pod.metadata.name });
  } finally {
    await api.remove({ apiVersion: 'batch/v1', kind: 'Job', namespace, name }, { uid: made.metadata.uid! });
  }
}

/** Labelled as a part of the session that is none of its programs: no policy lets it near Redis. */
function jobObject({ image, args, mounts, memory, withinSeconds, pod, ...part }: ToolJob, name: string): KubeObject {
  const metadata = partMetadata(part, 'session', name);
  const volumes = mounts.map(({ volume }, index) => ({ name: `mount-${index}`, ...volume }));
  const spec = {
    ...podSecurity({ images: { untradex: image, redis: '', pullPolicy: 'IfNotPresent', pullSecrets: [] } }),
    ...pod,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 5,
    containers: [
      {
        ...restrictedContainer,
        name: containerName,
        image,
        command: ['node', paths.cliProgram],
        args: [...args],
        resources: { requests: { cpu: '100m', memory }, limits: { memory } },
        volumeMounts: [
          { name: 'config', mountPath: paths.config, readOnly: true },
          { name: 'tmp', mountPath: '/tmp' },
          ...mounts.map(({ path, readOnly }, index) => ({ name: `mount-${index}`, mountPath: path, readOnly })),
        ],
      },
    ],
    volumes: [{ name: 'config', configMap: { name } }, { name: 'tmp', emptyDir: {} }, ...volumes],
  } satisfies V1PodSpec;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata,
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: withinSeconds,
      ttlSecondsAfterFinished: keepSeconds,
      template: { metadata: { labels: metadata.labels }, spec },
    },
  };
}

/** Owned by the Job, so that it goes with it. */
function configMap({ files, ...part }: ToolJob, name: string, { metadata }: KubeObject): KubeObject {
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid: metadata.uid!, controller: true };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...partMetadata(part, 'session', name), ownerReferences: [owner] },
    data: files,
  };
}
