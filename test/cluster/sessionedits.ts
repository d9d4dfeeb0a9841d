/**
 * What can be edited in which phase. Each edit is a merge patch of a session like `sessionIn`; null removes a field.
 */
export interface Edit {
  readonly title: string;
  readonly patch: Readonly<Record<string, unknown>>;
  /** When it is refused: what the message must say. */
  readonly says?: string;
}

export const phasesOfLife = [
  'before any status',
  'Pending',
  'Provisioning',
  'Active',
  'Draining, not yet sealed',
  'Draining, sealing',
  'Exporting',
  'Failed',
  'Completed',
] as const;
export type PhaseOfLife = (typeof phasesOfLife)[number];

const closesAt = '2026-05-04T11:00:00Z';
const sealing = '2026-05-04T11:00:10Z';

const isSealed = (phase: PhaseOfLife) => phasesOfLife.indexOf(phase) >= phasesOfLife.indexOf('Draining, sealing');
const isProvisioned = (phase: PhaseOfLife) => phasesOfLife.indexOf(phase) >= phasesOfLife.indexOf('Provisioning');
const isFinalizing = (phase: PhaseOfLife) =>
  phasesOfLife.indexOf(phase) >= phasesOfLife.indexOf('Draining, not yet sealed');

/** The spec and the status (null: none) of a session in this phase of its life. */
export function sessionIn(phase: PhaseOfLife): { spec: Record<string, unknown>; status: object | null } {
  const spec = {
    ...{ students: 4000, exam: 'Algebra I', opensAt: '2026-05-04T09:00:00Z', closesAt },
    ...{ redis: { shards: 2, storage: '20Gi', storageClass: 'fast' }, rehearsal: false },
    export: { volume: { storage: '50Gi', storageClass: 'standard' } },
    ...(isFinalizing(phase) ? { phase: 'Finalizing' } : {}),
  };
  if (phase === 'before any status') return { spec, status: null };
  const status = {
    ...{ phase: phase.split(',')[0], observedGeneration: 1, conditions: [], plan: { replicas: 2, shards: 2 } },
    sealing: isSealed(phase) ? sealing : null,
  };
  return { spec, status };
}

const spec = (fields: Record<string, unknown>) => ({ spec: fields });

/** Allowed always. */
export const legalEdits: readonly Edit[] = [
  { title: 'more students', patch: spec({ students: 9000 }) },
  { title: 'fewer students', patch: spec({ students: 100 }) },
  { title: 'a later end', patch: spec({ closesAt: '2026-05-04T12:00:00+00:00' }) },
  { title: 'no end', patch: spec({ closesAt: null }) },
  { title: 'an earlier beginning', patch: spec({ opensAt: '2026-05-04T08:00:00Z' }) },
  { title: 'no beginning', patch: spec({ opensAt: null }) },
  { title: 'more grace', patch: spec({ graceSeconds: 120 }) },
  { title: 'late answers marked', patch: spec({ late: 'Mark' }) },
  { title: 'autoFinalize', patch: spec({ autoFinalize: true }) },
  { title: 'a roster', patch: spec({ roster: { file: 'extra.csv' } }) },
  { title: 'another lead', patch: spec({ provisionLeadMinutes: 60 }) },
  { title: 'more answers a student', patch: spec({ answers: { perStudent: 500 } }) },
  { title: 'larger answers', patch: spec({ answers: { bytes: 4000 } }) },
  { title: 'another origin', patch: spec({ access: { origins: ['https://exam.example.edu'] } }) },
  { title: 'keys of an identity provider', patch: spec({ auth: { jwksUrl: 'https://id.example.edu/jwks' } }) },
  { title: 'an issuer', patch: spec({ auth: { issuer: 'https://id.example.edu' } }) },
  { title: 'an audience', patch: spec({ auth: { audience: 'algebra' } }) },
  { title: 'gateways, exactly', patch: spec({ gateway: { replicas: 7 } }) },
  { title: 'fewer students a gateway', patch: spec({ gateway: { studentsPerReplica: 2000 } }) },
  { title: 'fewer students a shard', patch: spec({ redis: { studentsPerShard: 5000 } }) },
  { title: 'a shard given up', patch: spec({ redis: { refill: [{ shard: 1, incarnation: 'gone' }] } }) },
  { title: 'another table', patch: spec({ export: { table: 'ALGEBRA_2026' } }) },
  { title: 'larger batches', patch: spec({ export: { batchRows: 20000 } }) },
  { title: 'the target said', patch: spec({ export: { duckdb: {} } }) },
  { title: 'Finalizing', patch: spec({ phase: 'Finalizing' }) },
  { title: 'a roster in a ConfigMap', patch: spec({ roster: { configMap: { name: 'extra', key: 'a.csv' } } }) },
  { title: 'a signing key of your own', patch: spec({ auth: { secretRef: { name: 'key', key: 'token.key' } } }) },
  { title: 'a host', patch: spec({ access: { host: 'exam.example.edu', tlsSecret: 'exam', ingressClass: 'public' } }) },
  { title: 'a Gateway', patch: spec({ access: { host: 'exam.example.edu', gateway: { name: 'a', section: 'b' } } }) },
  { title: 'gateways that follow the load', patch: spec({ gateway: { autoscale: true } }) },
  { title: 'gateways between bounds', patch: spec({ gateway: { autoscale: true, minReplicas: 2, maxReplicas: 9 } }) },
  { title: 'gateways on other nodes', patch: spec({ gateway: { pod: { nodeSelector: { pool: 'exams' } } } }) },
  { title: 'larger gateways', patch: spec({ gateway: { resources: { cpu: '500m', memory: '2Gi' } } }) },
  { title: 'larger shards', patch: spec({ redis: { resources: { cpu: 2, memory: '8Gi' } } }) },
  { title: 'smaller shards', patch: spec({ redis: { resources: { memory: '512Mi' } } }) },
  { title: 'more storage', patch: spec({ redis: { storage: '21Gi' } }) },
  { title: 'as much storage in other words', patch: spec({ redis: { storage: '20480Mi' } }) },
  { title: 'as much storage in bytes', patch: spec({ redis: { storage: 20 * 2 ** 30 } }) },
  { title: 'shards that are more important', patch: spec({ redis: { pod: { priorityClassName: 'exams' } } }) },
  { title: 'a larger volume for the export', patch: spec({ export: { volume: { storage: '0.05Ti' } } }) },
  { title: 'a time to keep the queue for', patch: spec({ export: { keepQueueFor: '14d' } }) },
  {
    title: 'a PostgreSQL server',
    patch: spec({ export: { postgres: { host: 'db', database: 'exams', credentialsSecret: 'database' } } }),
  },
  { title: 'a label', patch: { metadata: { labels: { term: 'spring' } } } },
];

const shards = 'spec.redis.shards cannot change or be removed once it is set';

/** Refused always. */
export const illegalEdits: readonly Edit[] = [
  { title: 'another exam', patch: spec({ exam: 'Algebra II' }), says: 'spec.exam cannot change' },
  { title: 'no exam any more', patch: spec({ exam: null }), says: 'spec.exam cannot change' },
  { title: 'a rehearsal', patch: spec({ rehearsal: true }), says: 'spec.rehearsal cannot change' },
  { title: 'more shards', patch: spec({ redis: { shards: 3 } }), says: shards },
  { title: 'shards left to be worked out', patch: spec({ redis: { shards: null } }), says: shards },
  { title: 'everything about Redis removed', patch: spec({ redis: null }), says: shards },
  {
    title: 'an end before the beginning',
    patch: spec({ closesAt: '2026-05-04T08:30:00Z' }),
    says: 'spec.closesAt must',
  },
  {
    title: 'autoFinalize without an end',
    patch: spec({ closesAt: null, autoFinalize: true }),
    says: 'needs spec.closesAt',
  },
  { title: 'no students', patch: spec({ students: null }), says: 'spec.students: Required value' },
  { title: 'no spec', patch: { spec: null }, says: 'spec: Required value' },
];

const redisClass = 'spec.redis.storageClass cannot change once the session is provisioned';
const redisStorage = 'spec.redis.storage cannot shrink or be removed once the session is provisioned';
/** Refused once there are volumes for the queue. */
export const editsOfQueueVolumes: readonly Edit[] = [
  { title: 'another class of storage', patch: spec({ redis: { storageClass: 'slow' } }), says: redisClass },
  { title: "the cluster's class of storage", patch: spec({ redis: { storageClass: null } }), says: redisClass },
  { title: 'less storage', patch: spec({ redis: { storage: '19.9Gi' } }), says: redisStorage },
  { title: 'less storage, as a number', patch: spec({ redis: { storage: 20_000_000_000 } }), says: redisStorage },
  { title: 'storage as planned', patch: spec({ redis: { storage: null } }), says: redisStorage },
];

const exportClass = 'spec.export.volume.storageClass cannot change once it is sealed';
const exportStorage = 'spec.export.volume.storage cannot shrink or be removed once it is sealed';
/** Refused once there may be a volume for the export. */
export const editsOfExportVolume: readonly Edit[] = [
  { title: 'another class', patch: spec({ export: { volume: { storageClass: 'slow' } } }), says: exportClass },
  { title: 'less storage', patch: spec({ export: { volume: { storage: '50G' } } }), says: exportStorage },
  { title: 'nothing about the volume', patch: spec({ export: { volume: null } }), says: exportStorage },
  { title: 'nothing about the export', patch: spec({ export: null }), says: exportClass },
];

/** The ways back from Finalizing; refused once sealing has begun. */
const phase = 'spec.phase cannot go back to Active: sealing has begun';
export const waysBack: readonly Edit[] = [
  { title: 'Active', patch: spec({ phase: 'Active' }), says: phase },
  { title: 'no phase, whose default is Active', patch: spec({ phase: null }), says: phase },
];

/** Of the status. */
export const illegalStatusEdits: readonly Edit[] = [
  {
    title: 'sealing removed',
    patch: { status: { sealing: null } },
    says: 'status.sealing cannot be removed or changed',
  },
  {
    title: 'sealing put off',
    patch: { status: { sealing: '2026-05-04T12:00:00Z' } },
    says: 'status.sealing cannot be',
  },
  { title: 'the status removed', patch: { status: null }, says: 'status.sealing cannot be removed or changed' },
];

export { isFinalizing, isProvisioned, isSealed };
