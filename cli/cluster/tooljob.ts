import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1PodSpec } from '@kubernetes/client-node';
import { paths } from '#operator/kubernetes/clustersettings.ts';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { type Part, partMetadata } from '#operator/kubernetes/resources/part.ts';
import { podSecurity, restrictedContainer } from '#operator/kubernetes/resources/pod.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { problem } from '#queue/problem.ts';
import type { PodLogs } from './podlog.ts';

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
  readonly mounts: readonly { readonly path: string; readonly volume: object; readonly readOnly: boolean }[];
  readonly memory: string;
  /** How long it may take at most, in seconds; the cluster ends it then. */
  readonly withinSeconds: number;
}

export interface ToolJobParts {
  readonly api: Api;
  readonly logs: PodLogs;
  readonly signal: AbortSignal;
  /** Told of each line that the command prints. */
  onLine(line: string): void;
}

const startWithinMs = 180_000;
const pollMs = 500;
/** What somebody forgot goes by itself. */
const keepSeconds = 600;

/**
 * Makes the Job, follows its log, and removes it, also when `signal` is aborted. Never restarted: a rehearsal that
 * plays twice would be another one.
 * @returns the exit code of the command
 */
export async function runToolJob(job: ToolJob, parts: ToolJobParts): Promise<number> {
  const { api, logs, signal, onLine } = parts;
  const { ref } = job;
  const name = `${objectNames(ref).base}-${job.what}-${randomBytes(3).toString('hex')}`;
  const made = await api.create(jobObject(job, name));
  try {
    await api.create(configMap(job, name, made));
    const pod = await waitForStart(api, ref, name, signal);
    for await (const line of logs.lines({ namespace: ref.namespace, pod, container: 'untradex', follow: true }, signal))
      onLine(line);
    return await waitForEnd(api, ref, pod, signal);
  } finally {
    await api.remove({ apiVersion: 'batch/v1', kind: 'Job', namespace: ref.namespace, name });
  }
}

/** Labelled as a part of the session that is none of its programs: no policy lets it near Redis. */
function jobObject({ image, args, mounts, memory, withinSeconds, ...part }: ToolJob, name: string): KubeObject {
  const metadata = partMetadata(part, 'session', name);
  const volumes = mounts.map(({ volume }, index) => ({ name: `mount-${index}`, ...volume }));
  const spec = {
    ...podSecurity({ images: { untradex: image, redis: '', pullPolicy: 'IfNotPresent', pullSecrets: [] } }),
    automountServiceAccountToken: false,
    restartPolicy: 'Never',
    containers: [
      {
        ...restrictedContainer,
        name: 'untradex',
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

interface PodObject extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly state?: {
        readonly waiting?: { readonly reason?: string; readonly message?: string };
        readonly terminated?: { readonly exitCode: number; readonly reason?: string };
      };
    }[];
  };
}

/** @returns the name of the pod. @throws Problem `job_not_started` with what keeps it */
async function waitForStart(api: Api, { namespace }: SessionRef, job: string, signal: AbortSignal): Promise<string> {
  const end = Date.now() + startWithinMs;
  for (;;) {
    const { items } = await api.list({ apiVersion: 'v1', kind: 'Pod', namespace, labelSelector: `job-name=${job}` });
    const pod = items[0] as PodObject | undefined;
    if (pod?.status?.phase !== undefined && pod.status.phase !== 'Pending') return pod.metadata.name;
    if (Date.now() > end) {
      const message = `the pod of ${job} did not start within ${startWithinMs / 1_000} s: ${whyPending(pod)}`;
      throw problem('job_not_started', message, 'mend what keeps it, then try again');
    }
    await sleep(pollMs, undefined, { signal });
  }
}

function whyPending(pod: PodObject | undefined): string {
  if (pod === undefined) return 'no pod was made; a quota may forbid it';
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting;
  return unscheduled?.message ?? ([waiting?.reason, waiting?.message].filter(Boolean).join(': ') || 'it is pending');
}

/** The log ends a moment before the pod is known to have ended. */
async function waitForEnd(api: Api, { namespace }: SessionRef, name: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    const pod = (await api.get({ apiVersion: 'v1', kind: 'Pod', namespace, name })) as PodObject | null;
    const ended = pod?.status?.containerStatuses?.[0]?.state?.terminated;
    if (ended !== undefined) return ended.exitCode;
    if (pod === null || pod.status?.phase === 'Failed') {
      const message = `the pod ${name} was ended from outside`;
      throw problem('job_ended', message, 'see `kubectl get events`, then try again');
    }
    await sleep(pollMs, undefined, { signal });
  }
}
