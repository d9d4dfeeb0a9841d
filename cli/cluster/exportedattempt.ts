import { paths } from '#operator/kubernetes/clustersettings.ts';
import { databaseSecretPath, type ExporterPods, exporterFiles } from '#operator/kubernetes/exporterconfig.ts';
import { objectNames } from '#operator/kubernetes/names.ts';
import { templateParts } from '#operator/kubernetes/resources/pod.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import type { SessionStatus } from '#operator/status.ts';
import { problem } from '#queue/problem.ts';
import type { ClusterPlace } from './clusterplace.ts';
import type { Tool } from './runtool.ts';
import type { PodObject } from './toolpod.ts';

/** The attempt whose rows are in the table, as its operator keeps it: what was sealed, and where its rows are. */
export interface ExportedAttempt {
  readonly status: SessionStatus;
  readonly plan: AttemptPlan;
  readonly pods: ExporterPods;
  /** The exporter's configuration. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** @throws Problem `not_exported`, `attempt_gone`, `roots_differ` */
export async function exportedAttempt({ api, ref, words, readStatus }: ClusterPlace): Promise<ExportedAttempt> {
  const status = await readStatus();
  if (status?.export?.state !== 'succeeded') {
    const message = `${ref.name} is not exported yet: it is ${status?.phase ?? 'new'}`;
    throw problem('not_exported', message, `end it with \`kubectl untradex finalize ${words} --wait\``);
  }
  const name = objectNames(ref).attempt(status.export.attempt);
  const found = await api.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ref.namespace, name });
  const data = found?.data as Record<string, string> | undefined;
  const read = (file: string) => JSON.parse(data?.[file] ?? gone(name)) as unknown;
  const plan = read(exporterFiles.attempt) as AttemptPlan;
  const { root } = status.redis;
  if (root !== plan.root) {
    const message = `the root in the session's status is ${root}, and in the ConfigMap ${name} it is ${plan.root}`;
    throw problem('roots_differ', message, 'somebody changed one of them: compare with a backup, and with the report');
  }
  const config = read(exporterFiles.config) as ExportedAttempt['config'];
  return { status, plan, config, pods: read(exporterFiles.pods) as ExporterPods };
}

function gone(name: string): never {
  const message = `the ConfigMap ${name}, which says where the rows are, is gone`;
  throw problem('attempt_gone', message, 'put it back from a backup of the cluster');
}

/** Where a tool finds what `readingTool` tells it. */
export const targetFile = `${paths.config}/target.json`;

/**
 * What a tool that reads the export is made of. It may read the database, but neither Redis nor what is staged, and it
 * writes nothing to the claim.
 * @param onClaim whether it reads files of the claim
 */
export async function readingTool(
  place: ClusterPlace,
  { pods, config }: ExportedAttempt,
  onClaim: boolean,
): Promise<Pick<Tool, 'image' | 'files' | 'mounts' | 'memory' | 'pod'>> {
  const { spec } = templateParts(pods.pod);
  const node = onClaim ? await nodeOfClaim(place) : null;
  const mounts = [
    ...(pods.databaseSecret === null ? [] : [secretMount(pods.databaseSecret)]),
    ...(onClaim ? [claimMount(objectNames(place.ref).exportClaim)] : []),
  ];
  const pod = { ...spec, ...(node !== null && { affinity: onlyOn(node) }) };
  const files = { 'target.json': JSON.stringify(readingConfig(config)) };
  return { image: pods.image, files, mounts, memory: pods.memory, pod };
}

/** The exporter's configuration for who only reads: without passwords of Redis, and with a folder of its own. */
export function readingConfig(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { outcomeFile, opsPort, roster, samples, ...rest } = config;
  const sink = config.sink as Record<string, unknown>;
  const shards = config.shards as readonly Record<string, unknown>[];
  return {
    ...rest,
    shards: shards.map(({ host, port, incarnation }) => ({ host, port, incarnation })),
    sink: sink.kind === 'duckdb' ? { ...sink, staging: '/tmp/reading' } : sink,
    logLevel: 'warn',
  };
}

function secretMount(secretName: string) {
  return { path: databaseSecretPath, volume: { secret: { secretName, defaultMode: 0o440 } }, readOnly: true };
}

function claimMount(claimName: string) {
  return { path: paths.export, volume: { persistentVolumeClaim: { claimName, readOnly: true } }, readOnly: true };
}

/** The node on which somebody uses the claim now; where volumes are a node's at a time, nobody else could have it. */
async function nodeOfClaim({ api, ref }: ClusterPlace): Promise<string | null> {
  const { exportClaim } = objectNames(ref);
  const { items } = await api.list({ apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace });
  const user = (items as PodObject[]).find(
    (pod) => pod.status?.phase === 'Running' && claimsOf(pod).includes(exportClaim),
  );
  return (user?.spec as { nodeName?: string } | undefined)?.nodeName ?? null;
}

function claimsOf({ spec }: PodObject): string[] {
  const { volumes = [] } = spec as { volumes?: { persistentVolumeClaim?: { claimName: string } }[] };
  return volumes.flatMap(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName ?? []);
}

function onlyOn(node: string) {
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [node] }];
  return { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } } };
}
