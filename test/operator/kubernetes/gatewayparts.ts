import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import type { ClusterSettings } from '#operator/kubernetes/clustersettings.ts';
import type { SessionRef } from '#operator/kubernetes/names.ts';
import type { KubeObject } from '#operator/kubernetes/runtime/object.ts';
import type { DesiredGateways } from '#operator/plan.ts';

/** A session's gateways, for tests: everything is as in mid-exam unless said otherwise. */

export const uid = '3f1d2c4b-5a69-4788-9a0b-1c2d3e4f5061';

export function refOf(change: Partial<SessionRef> = {}): SessionRef {
  return { namespace: 'exams', name: 'algebra', uid, ...change };
}

export function ownerOf({ namespace, name, uid }: SessionRef): KubeObject {
  return { apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession', metadata: { namespace, name, uid } };
}

/** @param spec YAML, in braces or not: `gateway: {autoscale: true}` */
export function sessionOf(spec = '', students = 4000): ExamSession {
  const head = 'apiVersion: untradex.io/v1alpha1, kind: ExamSession, metadata: {name: algebra}';
  return readExamSession(`{${head}, spec: {students: ${students}, ${spec}}}`);
}

export const settings: ClusterSettings = {
  images: { untradex: 'untradex:new', redis: 'redis:7', pullPolicy: 'IfNotPresent', pullSecrets: ['registry'] },
  clusterDomain: 'cluster.local',
  operator: { namespace: 'untradex-system', podLabels: { 'app.kubernetes.io/name': 'untradex-operator' } },
  storageClass: null,
  networkPolicies: true,
  monitoringNamespaces: ['monitoring'],
  version: '1.0.0',
};

export const identity = {
  shards: [0, 1].map((shard) => ({ shard, incarnation: `incarnation-${shard}`, born: true, maxmemoryBytes: 1 })),
  images: { untradex: 'untradex:pinned', redis: 'redis:pinned' },
};

export function desiredOf(change: Partial<DesiredGateways> = {}): DesiredGateways {
  const MiB = 1024 ** 2;
  return {
    ...{ replicas: 2, hold: false, mode: 'serve' as const, connections: 10_000, memoryBytes: 704 * MiB, cpu: 1 },
    ...change,
  };
}
