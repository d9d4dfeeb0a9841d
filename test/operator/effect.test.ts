import { describe, expect, test } from 'vitest';
import { examSessionCrd, type SchemaNode } from '#operator/crd.ts';
import { fieldsWithoutEffect, insteadOf, withoutEffectText } from '#operator/effect.ts';
import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import { dataFolder } from '#operator/local/datafolder.ts';
import { exporterConfig } from '#operator/local/exporterconfig.ts';
import { gatewayConfig } from '#operator/local/gatewayconfig.ts';
import type { LocalIdentity } from '#operator/local/identityfile.ts';
import { planSession } from '#operator/plan.ts';
import { defaultSettings } from '#operator/settings.ts';
import { attemptOf, now, observedOf, queueOf } from './facts.ts';

function sessionOf(spec: object): ExamSession {
  const value = {
    ...{ apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession', metadata: { name: 'algebra' } },
    spec: { students: 40, closesAt: '2026-05-04T12:00:00Z', ...spec },
  };
  return readExamSession(JSON.stringify(value));
}

const specOf = (spec: object) => sessionOf(spec).spec;
const server = { host: 'db', database: 'exams', user: 'exporter' };
const resources = { cpu: '3', memory: '3Gi' };
const pod = { priorityClassName: 'high' };

/** A session that gives a field, and what it would be without. */
const onlyOnClusters: Readonly<Record<string, readonly [given: object, without: object]>> = {
  'spec.access.host': [{ access: { host: 'exam.example.edu' } }, {}],
  'spec.access.tlsSecret': [{ access: { host: 'a.b', tlsSecret: 's' } }, { access: { host: 'a.b' } }],
  'spec.access.ingressClass': [{ access: { host: 'a.b', ingressClass: 'c' } }, { access: { host: 'a.b' } }],
  'spec.access.gateway': [{ access: { host: 'a.b', gateway: { name: 'g' } } }, { access: { host: 'a.b' } }],
  'spec.auth.secretRef': [{ auth: { secretRef: { name: 's' } } }, {}],
  'spec.gateway.autoscale': [{ gateway: { autoscale: true } }, {}],
  'spec.gateway.resources': [{ gateway: { resources } }, {}],
  'spec.gateway.pod': [{ gateway: { pod } }, {}],
  'spec.redis.storageClass': [{ redis: { storageClass: 'fast' } }, {}],
  'spec.redis.resources.cpu': [{ redis: { resources: { cpu: '3' } } }, {}],
  'spec.redis.pod': [{ redis: { pod } }, {}],
  'spec.export.volume': [{ export: { volume: { storage: '9Gi', storageClass: 'slow' } } }, {}],
  'spec.export.keepQueueFor': [{ export: { keepQueueFor: '14d' } }, {}],
  'spec.export.resources': [{ export: { resources } }, {}],
  'spec.export.pod': [{ export: { pod } }, {}],
  'spec.export.postgres.credentialsSecret': [
    { export: { postgres: { ...server, credentialsSecret: 's' } } },
    { export: { postgres: server } },
  ],
  'spec.roster.configMap': [{ roster: { configMap: { name: 'r' } } }, {}],
};

/** What is done with a session on one machine: all that its processes are told, and how many there are. */
function doneOnOneMachine(session: ExamSession) {
  const observed = observedOf({ session });
  const { capacity, shards, gateways, ...desired } = planSession(observed, queueOf(), now, defaultSettings);
  const identity = { uid: 'uid', session, shards: [], gatewayPort: 8080 } as unknown as LocalIdentity;
  const folder = dataFolder('/exam');
  const { memoryBytes: _m, cpu: _c, ...local } = shards;
  const { memoryBytes: _gm, cpu: _gc, ...served } = gateways;
  return {
    desired,
    shards: local,
    gateways: served,
    gateway: gatewayConfig(folder, identity, gateways, 'localhost'),
    exporter: exporterConfig(folder, identity, attemptOf().plan, 'PEM'),
    shardCount: capacity.shards,
  };
}

describe('fields that one machine does not honour', () => {
  test.each(Object.entries(onlyOnClusters))(
    '%s changes nothing that is done, and is told',
    (field, [given, without]) => {
      expect(doneOnOneMachine(sessionOf(given))).toEqual(doneOnOneMachine(sessionOf(without)));
      expect(fieldsWithoutEffect(specOf(given), 'machine')).toContain(field);
      expect(fieldsWithoutEffect(specOf(without), 'machine')).not.toContain(field);
    },
  );

  test('are told in one sentence, with what to use instead', () => {
    expect(withoutEffectText(specOf({ redis: { pod }, roster: { configMap: { name: 'r' } } }))).toBe(
      'On one machine these fields have no effect: spec.redis.pod, spec.roster.configMap (name a CSV file beside the session file in spec.roster.file).',
    );
  });

  test('are not told when none is given', () => {
    const given = { gateway: { minReplicas: 2, autoscale: false }, roster: { file: 'r.csv' } };
    expect(withoutEffectText(specOf(given))).toBeNull();
    expect(withoutEffectText(specOf({ redis: { storage: '2Gi', resources: { memory: '2Gi' } } }))).toBeNull();
  });
});

describe('fields that a cluster does not honour', () => {
  const tls = { caFile: 'ca.pem', certFile: 'c.pem', keyFile: 'k.pem' };
  const given = { roster: { file: 'r.csv' }, export: { postgres: { ...server, passwordFile: 'pw', tls } } };

  test('are files, each with what to use instead', () => {
    const fields = fieldsWithoutEffect(specOf(given), 'cluster');
    expect(fields).toEqual([
      'spec.roster.file',
      ...['passwordFile', 'tls.caFile', 'tls.certFile', 'tls.keyFile'].map((name) => `spec.export.postgres.${name}`),
    ]);
    for (const field of fields) expect(insteadOf(field, 'cluster')).toMatch(/ in spec\./);
    expect(fieldsWithoutEffect(specOf(given), 'machine')).toEqual([]);
  });
});

/** Fields that are honoured everywhere. */
const everywhere = [
  ...['students', 'exam', 'phase', 'opensAt', 'closesAt', 'provisionLeadMinutes', 'graceSeconds', 'late'],
  ...['autoFinalize', 'rehearsal', 'answers', 'access.origins', 'auth.jwksUrl', 'auth.issuer', 'auth.audience'],
  ...['gateway.replicas', 'gateway.studentsPerReplica', 'gateway.minReplicas', 'gateway.maxReplicas'],
  ...['redis.shards', 'redis.studentsPerShard', 'redis.refill', 'redis.storage', 'redis.resources.memory'],
  ...['export.table', 'export.batchRows', 'export.duckdb'],
  ...['host', 'port', 'database', 'user', 'schema', 'tls.mode'].map((name) => `export.postgres.${name}`),
].map((field) => `spec.${field}`);

const onlyOnOneMachine = [
  'spec.roster.file',
  ...['passwordFile', 'tls.caFile', 'tls.certFile', 'tls.keyFile'].map((name) => `spec.export.postgres.${name}`),
];

function leaves(node: SchemaNode, path: string): string[] {
  const children = Object.entries(node.properties ?? {});
  return children.length === 0 ? [path] : children.flatMap(([name, child]) => leaves(child, `${path}.${name}`));
}

test('every field is known to be honoured everywhere, or in one place only', () => {
  const { spec } = examSessionCrd().spec.versions[0]!.schema.openAPIV3Schema.properties as { spec: SchemaNode };
  const known = [...everywhere, ...Object.keys(onlyOnClusters), ...onlyOnOneMachine];
  const covers = (field: string, leaf: string) => leaf === field || leaf.startsWith(`${field}.`);
  for (const leaf of leaves(spec, 'spec')) {
    expect(
      known.filter((field) => covers(field, leaf)),
      leaf,
    ).toHaveLength(1);
  }
});
