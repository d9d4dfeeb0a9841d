import type { V1Container, V1PodSpec, V1StatefulSetSpec } from '@kubernetes/client-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { annotationNames, finalizers, labelNames, labelsOf, objectNames } from '#operator/kubernetes/names.ts';
import { redisBudget } from '#operator/kubernetes/resources/redisbudget.ts';
import { redisConfigMap } from '#operator/kubernetes/resources/redisconfigmap.ts';
import { redisService } from '#operator/kubernetes/resources/redisservice.ts';
import {
  nextStatefulSet,
  type RedisStatefulSetInput,
  redisStatefulSet,
} from '#operator/kubernetes/resources/redisstatefulset.ts';
import {
  accountsSecret,
  exporterSecret,
  gatewaySecret,
  operatorSecret,
} from '#operator/kubernetes/resources/secrets.ts';
import { passwordHash } from '#queue/acl.ts';
import { redisConfigLines } from '#queue/redisconfig.ts';
import { ownerOf, refOf, settings } from './gatewayparts.ts';
import { GiB, MiB } from './shardparts.ts';

const ref = refOf();
const part = { ref, owner: ownerOf(ref) };

function inputOf(change: Partial<RedisStatefulSetInput> = {}): RedisStatefulSetInput {
  return {
    ...{ ...part, incarnations: ['one', 'two'], image: 'redis:7', maxmemoryBytes: 512 * MiB, memoryBytes: 704 * MiB },
    ...{ cpu: 1, storageBytes: GiB, storageClass: null, pod: undefined, config: 'config', inputs: 'wishes', settings },
    ...change,
  };
}

const statefulSetOf = (change: Partial<RedisStatefulSetInput> = {}) => redisStatefulSet(inputOf(change));
const podOf = ({ spec }: { spec: V1StatefulSetSpec }) => spec.template.spec as V1PodSpec;
const containerOf = (statefulSet: { spec: V1StatefulSetSpec }) => podOf(statefulSet).containers[0] as V1Container;
const settingsOf = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('everything of the shards', () => {
  const hash = passwordHash('secret');
  const all = (given: typeof part) => [
    redisService(given),
    redisBudget(given),
    redisConfigMap({ ...given, incarnations: ['one'], maxmemoryBytes: GiB }),
    statefulSetOf(given),
    operatorSecret(given, 'a'),
    exporterSecret(given, 'a'),
    gatewaySecret(given, { redisPassword: 'a', tokenKey: 'b', connectionKey: 'c', receiptPrivateKey: 'd' }),
    accountsSecret(given, { gateway: hash, exporter: hash, operator: hash }),
  ];

  test("has a name that fits, the session's labels and its owner, whatever the session is called", () => {
    const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/);
    fc.assert(
      fc.property(name, fc.uuid(), (name, uid) => {
        const given = refOf({ name, uid });
        for (const { metadata, kind } of all({ ref: given, owner: ownerOf(given) })) {
          const most = kind === 'ConfigMap' ? 253 : kind === 'StatefulSet' ? 52 : 63;
          expect(metadata.name).toMatch(/^[a-z]([a-z0-9-]*[a-z0-9])?$/);
          expect(metadata.name.length, kind).toBeLessThanOrEqual(most);
          expect(metadata.labels).toMatchObject({ [labelNames.uid]: uid, [labelNames.session]: name });
          expect(metadata.ownerReferences).toMatchObject([{ kind: 'ExamSession', name, uid, controller: true }]);
        }
        expect(objectNames(given).redisPod(999).length).toBeLessThanOrEqual(63);
      }),
    );
  });

  test('fits into one ConfigMap, and one template, for as many shards as there may be', () => {
    const incarnations = Array.from({ length: 1_000 }, () => '00000000-0000-4000-8000-000000000000');
    const map = redisConfigMap({ ...part, incarnations, maxmemoryBytes: GiB });
    expect(JSON.stringify(map).length).toBeLessThan(1_000_000);
    expect(JSON.stringify(statefulSetOf({ incarnations }).spec.template.metadata).length).toBeLessThan(200_000);
  });
});

describe("the shards' configuration", () => {
  test('is one for each shard, with a folder of its own incarnation and what they have in common', () => {
    const { data, metadata } = redisConfigMap({ ...part, incarnations: ['one', 'two'], maxmemoryBytes: GiB });
    const files = data as Record<string, string>;
    expect(Object.keys(files).sort()).toEqual(['redis-0.conf', 'redis-1.conf', 'redis.conf']);
    expect(settingsOf(files['redis-1.conf']!)).toEqual([
      'include "/etc/untradex/redis.conf"',
      'appenddirname "aof-two"',
    ]);
    const aclFile = '/etc/untradex-keys/users.acl';
    const lines = redisConfigLines({ dir: '/data', port: 6379, bind: ['*', '-::*'], aclFile, maxmemoryBytes: GiB });
    expect(files['redis.conf']!.trim().split('\n')).toEqual(lines);
    const other = redisConfigMap({ ...part, incarnations: ['one', 'three'], maxmemoryBytes: GiB });
    expect(other.metadata.name).not.toBe(metadata.name);
    expect(redisConfigMap({ ...part, incarnations: ['one', 'two'], maxmemoryBytes: GiB }).metadata.name).toBe(
      metadata.name,
    );
  });
});

describe('the StatefulSet', () => {
  test('has pods of the restricted profile, without a token and a shell', () => {
    const statefulSet = statefulSetOf();
    expect(podOf(statefulSet)).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        fsGroup: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      imagePullSecrets: [{ name: 'registry' }],
    });
    expect(containerOf(statefulSet)).toMatchObject({
      command: [
        ...['flock', '--exclusive', '--no-fork', '--timeout', '100', '/data/redis.lock'],
        ...['redis-server', '/etc/untradex/redis-$(SHARD).conf'],
      ],
      securityContext: {
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      },
      resources: { requests: { cpu: '1000m', memory: '704Mi' }, limits: { memory: '704Mi' } },
    });
    expect(JSON.stringify(statefulSet)).not.toMatch(/"(sh|bash|-c)"/);
  });

  test('never loses a claim, and never restarts a pod by itself', () => {
    const { spec } = statefulSetOf({ storageClass: 'fast' });
    expect(spec).toMatchObject({
      ...{ replicas: 2, podManagementPolicy: 'Parallel', updateStrategy: { type: 'OnDelete' } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
    const [claim] = spec.volumeClaimTemplates!;
    expect(claim!.metadata?.finalizers).toEqual([finalizers.answers]);
    expect(claim!.spec).toMatchObject({ storageClassName: 'fast', resources: { requests: { storage: '1Gi' } } });
    expect(redisBudget(part).spec).toMatchObject({ maxUnavailable: 0 });
  });

  test("takes the session's wishes, which never take the place of ours", () => {
    const ours = { ...labelsOf(ref, 'redis') };
    const pod = {
      ...{ nodeSelector: { disk: 'fast' }, tolerations: [{ key: 'exam' }], priorityClassName: 'high' },
      affinity: { nodeAffinity: {} },
      labels: { team: 'exams', [labelNames.uid]: 'other' },
      annotations: { note: 'x', [annotationNames.inputs]: 'other' },
    };
    const statefulSet = statefulSetOf({ pod });
    const { metadata, spec } = statefulSet.spec.template;
    expect(spec).toMatchObject({
      nodeSelector: pod.nodeSelector,
      tolerations: pod.tolerations,
      affinity: pod.affinity,
    });
    expect(spec?.priorityClassName).toBe('high');
    expect(metadata?.labels).toEqual({ ...ours, team: 'exams' });
    expect(metadata?.annotations?.note).toBe('x');
    expect(metadata?.annotations?.[annotationNames.inputs]).not.toBe('other');
  });
});

describe('a StatefulSet that is there', () => {
  const other = { ...settings, version: '2.0.0' };
  const live = statefulSetOf();
  const next = (change: Partial<RedisStatefulSetInput>, isFree = false) =>
    nextStatefulSet(live, statefulSetOf(change), isFree) as typeof live | null;

  test('stays when nothing else is wanted, however it would be written down now', () => {
    expect(next({})).toBeNull();
    expect(next({ settings: other })).toBeNull();
    expect(next({ settings: other, memoryBytes: GiB, cpu: 2, config: 'text' })).toBeNull();
    expect(next({ config: 'text' })).toBeNull();
    expect(next({ settings: { ...settings, images: { ...settings.images, pullSecrets: [] } } })).toBeNull();
    expect(next({ storageBytes: 2 * GiB, storageClass: 'other' })).toBeNull();
  });

  test('gets other pods for other wishes, and what made them is written down', () => {
    const changed = next({ settings: other, memoryBytes: GiB, inputs: 'more' })!;
    expect(containerOf(changed).resources?.limits?.memory).toBe('1Gi');
    expect(changed.metadata.annotations).toEqual({
      ...{ [annotationNames.inputs]: 'more', [annotationNames.madeBy]: '2.0.0' },
    });
    expect(changed.spec.volumeClaimTemplates).toEqual(live.spec.volumeClaimTemplates);
  });

  test('keeps its pods for wishes that change nothing about them', () => {
    const changed = next({ settings: other, inputs: 'more' })!;
    expect(changed.spec).toEqual(live.spec);
    expect(changed.metadata.annotations).toEqual({
      ...{ [annotationNames.inputs]: 'more', [annotationNames.madeBy]: settings.version },
    });
  });

  test('gets nothing but the configuration for other incarnations', () => {
    const changed = next({ settings: other, memoryBytes: GiB, incarnations: ['one', 'anew'], config: 'next' })!;
    const text = JSON.stringify(changed).replace('"next"', '"config"').replace('\\"anew\\"', '\\"two\\"');
    expect(text).toBe(JSON.stringify(live));
    expect(changed).not.toEqual(live);
  });

  test('gets whatever is wanted while nothing is stored', () => {
    const images = { ...settings.images, pullSecrets: ['mended'] };
    expect(podOf(next({ settings: { ...settings, images } }, true)!).imagePullSecrets).toEqual([{ name: 'mended' }]);
    expect(containerOf(next({ settings: other, memoryBytes: GiB }, true)!).resources?.limits?.memory).toBe('1Gi');
    expect(next({}, true)).toBeNull();
  });
});
