import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { V1ConfigMapVolumeSource, V1JobSpec, V1PodSpec } from '@kubernetes/client-node';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readConfig } from '#exporter/config.ts';
import {
  attemptData,
  type ExporterInput,
  type ExporterPods,
  exporterConfig,
  exporterPods,
} from '#operator/kubernetes/exporterconfig.ts';
import { finalizers, labelNames, objectNames, selectorOf } from '#operator/kubernetes/names.ts';
import { exportClaim } from '#operator/kubernetes/resources/exportclaim.ts';
import { exporterAccount } from '#operator/kubernetes/resources/exporteraccount.ts';
import { loadJob, publishJob } from '#operator/kubernetes/resources/exporterjob.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { attemptPlan, exporterInput, wishes } from './exporterparts.ts';
import { ownerOf, settings } from './gatewayparts.ts';

const postgres = {
  host: 'db.example.edu',
  port: 5432,
  database: 'exams',
  user: 'untradex',
  schema: 'public',
  tls: { mode: 'Verify' },
};
const withSecret = { ...postgres, credentialsSecret: 'exams-db' };

function jobsOf(input: ExporterInput, attempt = 3) {
  const pods = exporterPods(input, input.roster.size > 0);
  const part = { ref: input.ref, owner: ownerOf(input.ref) };
  return [loadJob({ ...part, settings, attempt, pods }), publishJob({ ...part, settings, attempt, pods })] as const;
}

const specOf = (job: object) => (job as { spec: V1JobSpec }).spec;
const podOf = (job: object) => specOf(job).template.spec as V1PodSpec;

/** What the exporter finds wrong with a configuration on this machine, which has none of the cluster's files. */
function faultsOf(config: object): string[] {
  const path = join(tmpFolder('exporterconfig'), 'exporter.json');
  writeFileSync(path, JSON.stringify(config));
  try {
    readConfig(path);
    return [];
  } catch (error) {
    return (error as Error).message
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(':')[0]!);
  }
}

test('the exporter takes what it is told; only the files are missing here', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      fc.constantFrom(undefined, postgres, withSecret),
      (shards, rehearsal, sink) => {
        const input = exporterInput({ shards, rehearsal, export: { ...(sink && { postgres: sink }) } });
        const wrong = new Set(faultsOf(exporterConfig(input, true)));
        const passwords = Array.from({ length: shards }, (_, shard) => `shards.${shard}.passwordFile`);
        const secret = sink === withSecret ? ['sink.userFile', 'sink.passwordFile'] : [];
        expect(wrong).toEqual(new Set([...passwords, ...secret]));
      },
    ),
    { numRuns: 40 },
  );
});

test('each shard is its own pod, by its name; the password is none of the configuration', () => {
  const input = exporterInput({ shards: 2 });
  const { shards, ...config } = exporterConfig(input, false);
  const { redis } = objectNames(input.ref);
  expect(shards.map(({ host, port, incarnation }) => [host, port, incarnation])).toEqual([
    [`${redis}-0.${redis}.exams.svc.cluster.local`, 6379, 'incarnation-0'],
    [`${redis}-1.${redis}.exams.svc.cluster.local`, 6379, 'incarnation-1'],
  ]);
  expect(config).toMatchObject({ roster: null, outcomeFile: '/dev/termination-log', opsPort: 9090, attempt: 3 });
});

test('the roster goes with the attempt when it fits', () => {
  const names = (count: number) =>
    new Map(Array.from({ length: count }, (_, i) => [`student-${i}-of-this-exam`, i % 3]));
  const small = attemptData(exporterInput({ roster: names(4_000) }));
  expect(small.rosterLeftOut).toBe(false);
  expect(JSON.parse(small.data['roster.json']!)).toHaveLength(4_000);
  expect(JSON.parse(small.data['exporter.json']!)).toMatchObject({ roster: '/etc/untradex/roster.json' });
  const large = attemptData(exporterInput({ roster: names(40_000) }));
  expect(large.rosterLeftOut).toBe(true);
  expect(large.data['roster.json']).toBeUndefined();
  expect(JSON.parse(large.data['exporter.json']!)).toMatchObject({ roster: null });
  expect(attemptData(exporterInput()).rosterLeftOut).toBe(false);
  // The largest session, with the largest roster that fits, and an outcome after it.
  const all = attemptData(exporterInput({ shards: 1_000, roster: names(12_000) })).data;
  const bytes = Object.values(all).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  expect(bytes).toBeLessThan(1_048_576 - 20_000);
});

test('pods get what they need, are restricted, and hold no secret in arguments or environment', () => {
  fc.assert(
    fc.property(fc.constantFrom(undefined, postgres, withSecret), wishes, fc.boolean(), (sink, pod, rostered) => {
      const roster = new Map(rostered ? [['student', 0]] : []);
      const input = exporterInput({ shards: 5, roster, export: { ...(sink && { postgres: sink }), pod } });
      for (const job of jobsOf(input)) {
        const spec = podOf(job);
        const [container] = spec.containers;
        expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532 });
        expect(spec.securityContext?.seccompProfile).toEqual({ type: 'RuntimeDefault' });
        expect(container!.securityContext).toEqual({
          ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        });
        expect(container!.image).toBe(settings.images.untradex);
        expect([spec.automountServiceAccountToken, spec.restartPolicy]).toEqual([false, 'Never']);
        expect([spec.serviceAccountName, container!.env]).toEqual([objectNames(input.ref).exporter, undefined]);
        // Never moved, never another session's, whatever the session says of its pods.
        const { labels, annotations } = specOf(job).template.metadata!;
        expect(labels).toMatchObject({ ...selectorOf(input.ref, 'exporter'), [labelNames.attempt]: '3' });
        expect(annotations).toMatchObject({
          ...pod.annotations,
          'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
        });
        expect(spec.nodeSelector).toEqual(pod.nodeSelector);
        const mounts = container!.volumeMounts!.map(({ name }) => name);
        expect(mounts).toEqual(spec.volumes!.map(({ name }) => name));
        expect(mounts.includes('database')).toBe(sink === withSecret);
        const config = spec.volumes!.find(({ name }) => name === 'config')!.configMap as V1ConfigMapVolumeSource;
        expect(config.items!.map(({ key }) => key)).toEqual(['exporter.json', ...(rostered ? ['roster.json'] : [])]);
      }
    }),
    { numRuns: 50 },
  );
});

test('a loader a shard: one at a time on a claim, four into a server; only the publisher needs the claim then', () => {
  const [onClaim] = jobsOf(exporterInput({ shards: 9 }));
  expect(specOf(onClaim)).toMatchObject({ completionMode: 'Indexed', completions: 9, parallelism: 1 });
  const [load, publish] = jobsOf(exporterInput({ shards: 9, export: { postgres: withSecret } }));
  expect(specOf(load)).toMatchObject({ completions: 9, parallelism: 4, backoffLimitPerIndex: 0, maxFailedIndexes: 0 });
  expect(specOf(publish)).toMatchObject({ completions: 1, backoffLimit: 0, podReplacementPolicy: 'Failed' });
  const claims = [onClaim, load, publish].map((job) => podOf(job).volumes!.some(({ name }) => name === 'export'));
  expect(claims).toEqual([true, false, true]);
  expect(podOf(load).containers[0]!.args).toEqual(['load', '--config', '/etc/untradex/exporter.json']);
});

test('names fit, whatever the session is called and however often it was tried', () => {
  const ref = { namespace: 'exams', name: 'a'.repeat(40), uid: 'c0ffee00-0000-4000-8000-000000000001' };
  const jobs = jobsOf(exporterInput({ ref, shards: 1_000 }), 99_999);
  // A pod's host name is that of its Job, and its index.
  for (const { metadata } of jobs) expect(`${metadata.name}-999`.length).toBeLessThanOrEqual(63);
});

test('the claim belongs to nobody and cannot just be deleted; the account has no token', () => {
  const { ref } = exporterInput();
  const claim = exportClaim(ref, { storage: '20Gi', storageClass: null });
  expect(claim.metadata).toMatchObject({ name: `${objectNames(ref).base}-export`, finalizers: [finalizers.answers] });
  expect(claim.metadata.ownerReferences).toBeUndefined();
  expect(claim.spec).toEqual({ accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '20Gi' } } });
  expect(exportClaim(ref, { storage: '1Gi', storageClass: 'fast' }).spec).toMatchObject({ storageClassName: 'fast' });
  expect(exporterAccount({ ref, owner: ownerOf(ref) })).toMatchObject({ automountServiceAccountToken: false });
});

test('memory, DuckDB’s part of it, and storage follow from the session unless it says', () => {
  const podsOf = (change: Parameters<typeof exporterInput>[0]): ExporterPods =>
    exporterPods(exporterInput(change), false);
  const bufferOf = (change: Parameters<typeof exporterInput>[0]) => exporterConfig(exporterInput(change), false).sink;
  expect(podsOf({})).toMatchObject({ cpu: '1', memory: '1600Mi', claim: { storage: '2Gi', storageClass: null } });
  expect(bufferOf({})).toMatchObject({ memoryMb: 832 });
  const given = { resources: { cpu: '500m', memory: '4Gi' }, volume: { storage: '50Gi', storageClass: 'fast' } };
  expect(podsOf({ export: given })).toMatchObject({ cpu: '500m', memory: '4Gi', claim: given.volume });
  expect(bufferOf({ export: given })).toMatchObject({ memoryMb: 3_328 });
  expect(podsOf({ export: { postgres } }).claim.storage).toBe('1Gi');
  expect(attemptPlan({ shards: 1 }).witnesses).toHaveLength(1);
});
