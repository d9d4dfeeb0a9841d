import { wrongOnCluster } from './wrongcluster.ts';

/** ExamSessions that the API server must refuse, each with what its message must say. */
export interface WrongSession {
  readonly title: string;
  /** Merged over a session that is fine otherwise. */
  readonly spec?: Readonly<Record<string, unknown>>;
  /** Instead of a spec with students. */
  readonly wholeSpec?: unknown;
  readonly name?: string;
  /** Beside apiVersion, kind, metadata and spec. */
  readonly beside?: Readonly<Record<string, unknown>>;
  readonly says: readonly string[];
}

const closesAt = '2026-05-04T09:00:00Z';
const postgres = { host: 'db.example.edu', database: 'exams', user: 'exporter' };
const long = (length: number) => 'x'.repeat(length);

/** Both sides of a whole number's range, a fraction and a text. */
function aroundRange(field: string, least: number, most: number): WrongSession[] {
  const path = field.split('.');
  const nested = (value: unknown): Record<string, unknown> =>
    path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<string, unknown>;
  const at = `spec.${field}`;
  return [
    {
      title: `${at} below ${least}`,
      spec: nested(least - 1),
      says: [at, `should be greater than or equal to ${least}`],
    },
    { title: `${at} above ${most}`, spec: nested(most + 1), says: [at, `should be less than or equal to ${most}`] },
    { title: `${at} with a fraction`, spec: nested(least + 0.5), says: [at, 'must be of type integer'] },
    { title: `${at} as text`, spec: nested('many'), says: [at, 'must be of type integer'] },
  ];
}

function misspelt(title: string, spec: Record<string, unknown>, field: string): WrongSession {
  return { title, spec, says: [`unknown field "spec.${field}"`] };
}

function wrongTime(value: unknown, title: string, says: string): WrongSession {
  return { title: `closesAt ${title}`, spec: { closesAt: value }, says: ['spec.closesAt', says] };
}

export const wrongSessions: readonly WrongSession[] = [
  ...aroundRange('students', 1, 1_000_000),
  ...aroundRange('provisionLeadMinutes', 0, 10_080),
  ...aroundRange('graceSeconds', 0, 86_400),
  ...aroundRange('answers.perStudent', 1, 20_000),
  ...aroundRange('answers.bytes', 1, 16_384),
  ...aroundRange('gateway.replicas', 1, 1_000),
  ...aroundRange('gateway.studentsPerReplica', 100, 20_000),
  ...aroundRange('gateway.minReplicas', 1, 1_000),
  ...aroundRange('gateway.maxReplicas', 1, 1_000),
  ...aroundRange('redis.shards', 1, 1_000),
  ...aroundRange('redis.studentsPerShard', 100, 100_000),
  ...aroundRange('export.batchRows', 100, 100_000),
  { title: 'no spec', wholeSpec: undefined, says: ['spec: Required value'] },
  { title: 'an empty spec', wholeSpec: {}, says: ['spec.students: Required value'] },
  { title: 'a spec that is a list', wholeSpec: [], says: ['spec', 'must be of type object'] },
  misspelt('a field that nobody knows', { seats: 3 }, 'seats'),
  misspelt('a slip of the pen', { studens: 3 }, 'studens'),
  misspelt('a field in other letters', { Phase: 'Active' }, 'Phase'),
  misspelt('an unknown field of the gateways', { gateway: { replica: 2 } }, 'gateway.replica'),
  misspelt('a field at the wrong place', { shards: 3 }, 'shards'),
  misspelt('an unknown field of the export', { export: { parquet: {} } }, 'export.parquet'),
  misspelt('an unknown field of a target', { export: { duckdb: { path: '/x' } } }, 'export.duckdb.path'),
  { title: 'an unknown field beside the spec', beside: { data: {} }, says: ['unknown field "data"'] },
  { title: 'a phase that is none', spec: { phase: 'Paused' }, says: ['spec.phase', '"Active", "Finalizing"'] },
  { title: 'a phase in small letters', spec: { phase: 'finalizing' }, says: ['spec.phase', '"Active", "Finalizing"'] },
  { title: 'late by a word of its own', spec: { late: 'Drop' }, says: ['spec.late', '"Refuse", "Mark"'] },
  { title: 'an exam without a name', spec: { exam: '' }, says: ['spec.exam', 'should match'] },
  { title: 'an exam that begins with a blank', spec: { exam: ' Algebra' }, says: ['spec.exam', 'should match'] },
  { title: 'an exam with a line end', spec: { exam: 'Algebra\nII' }, says: ['spec.exam', 'should match'] },
  { title: 'an exam with a long name', spec: { exam: long(129) }, says: ['spec.exam', 'should match'] },
  { title: 'an exam that is a number', spec: { exam: 12 }, says: ['spec.exam', 'must be of type string'] },
  wrongTime('tomorrow', 'in words', 'must be of type date-time'),
  wrongTime('2026-05-04', 'without a time', 'must be of type date-time'),
  wrongTime('2026-05-04T09:00:00', 'without an offset', 'must be of type date-time'),
  wrongTime('2026-02-30T09:00:00Z', 'on the 30th of February', 'must be of type date-time'),
  wrongTime('2026-05-04T24:00:00Z', 'at 24 o’clock', 'must be of type date-time'),
  wrongTime('2026-05-04T09:00:60Z', 'in a leap second', 'must be of type date-time'),
  wrongTime('2026-05-04t09:00:00z', 'in small letters', 'should match'),
  wrongTime('2026-05-04T09:00:00.0001Z', 'with parts of a millisecond', 'should match'),
  wrongTime(1777885200, 'in seconds since 1970', 'must be of type date-time'),
  {
    title: 'an end before the beginning',
    spec: { opensAt: '2026-05-04T10:00:00Z', closesAt },
    says: ['spec.closesAt must be after spec.opensAt: move one of them'],
  },
  {
    title: 'an end at the beginning, written with another offset',
    spec: { opensAt: '2026-05-04T11:00:00+02:00', closesAt },
    says: ['spec.closesAt must be after spec.opensAt'],
  },
  {
    title: 'autoFinalize without a deadline',
    spec: { autoFinalize: true },
    says: ['spec.autoFinalize needs spec.closesAt'],
  },
  { title: 'autoFinalize as a word', spec: { autoFinalize: 'yes' }, says: ['spec.autoFinalize', 'of type boolean'] },
  { title: 'rehearsal as a number', spec: { rehearsal: 1 }, says: ['spec.rehearsal', 'must be of type boolean'] },
  {
    title: 'a roster without a deadline',
    spec: { roster: { file: 'extra.csv' } },
    says: ['spec.roster needs spec.closesAt'],
  },
  {
    title: 'a roster without a file',
    spec: { closesAt, roster: {} },
    says: ['spec.roster takes one of file and configMap'],
  },
  {
    title: 'a roster from elsewhere',
    spec: { closesAt, roster: { file: '../extra.csv' } },
    says: ['spec.roster.file', 'should match'],
  },
  {
    title: 'an origin with a path',
    spec: { access: { origins: ['https://exam.example.edu/x'] } },
    says: ['spec.access.origins[0]', 'should match'],
  },
  {
    title: 'an origin without a scheme',
    spec: { access: { origins: ['https://a', 'exam.example.edu'] } },
    says: ['spec.access.origins[1]', 'should match'],
  },
  {
    title: 'too many origins',
    spec: { access: { origins: Array.from({ length: 65 }, (_, n) => `https://host${n}`) } },
    says: ['spec.access.origins', 'must have at most 64 items'],
  },
  {
    title: 'origins that are one text',
    spec: { access: { origins: '*' } },
    says: ['spec.access.origins', 'of type array'],
  },
  {
    title: 'keys from a file',
    spec: { auth: { jwksUrl: 'file:///keys' } },
    says: ['spec.auth.jwksUrl', 'should match'],
  },
  {
    title: 'keys from a URL with a blank',
    spec: { auth: { jwksUrl: 'https://id.example.edu/a b' } },
    says: ['spec.auth.jwksUrl', 'should match'],
  },
  { title: 'an empty issuer', spec: { auth: { issuer: '' } }, says: ['spec.auth.issuer', 'at least 1 chars'] },
  {
    title: 'a long audience',
    spec: { auth: { audience: long(513) } },
    says: ['spec.auth.audience', '512'],
  },
  { title: 'gateways that are a number', spec: { gateway: 3 }, says: ['spec.gateway', 'must be of type object'] },
  {
    title: 'a refill without an incarnation',
    spec: { redis: { refill: [{ shard: 0 }] } },
    says: ['spec.redis.refill[0].incarnation: Required value'],
  },
  {
    title: 'a refill of shard -1',
    spec: { redis: { refill: [{ shard: -1, incarnation: 'a' }] } },
    says: ['spec.redis.refill[0].shard', 'greater than or equal to 0'],
  },
  {
    title: 'a table with a statement in its name',
    spec: { export: { table: 'A; DROP TABLE B' } },
    says: ['spec.export.table', 'should match'],
  },
  { title: 'a table in small letters', spec: { export: { table: 'answers' } }, says: ['spec.export.table', 'match'] },
  { title: 'a table with a long name', spec: { export: { table: `A${long(100)}` } }, says: ['spec.export.table'] },
  {
    title: 'a target that is a text',
    spec: { export: { duckdb: 'yes' } },
    says: ['spec.export.duckdb', 'of type object'],
  },
  {
    title: 'two targets',
    spec: { export: { duckdb: {}, postgres } },
    says: ['spec.export takes one target', 'and remove the others'],
  },
  {
    title: 'a PostgreSQL server without a host',
    spec: { export: { postgres: { database: 'exams', user: 'exporter' } } },
    says: ['spec.export.postgres.host: Required value'],
  },
  {
    title: 'a PostgreSQL server on a port that is none',
    spec: { export: { postgres: { ...postgres, port: 65_536 } } },
    says: ['spec.export.postgres.port', 'should be less than or equal to 65535'],
  },
  {
    title: 'a table whose name PostgreSQL would cut',
    spec: { export: { table: 'T'.repeat(64), postgres } },
    says: ['spec.export.table is too long for PostgreSQL'],
  },
  ...wrongOnCluster,
  { title: 'a name with a dot', name: 'algebra.one', says: ['metadata.name does not fit', 'under another name'] },
  { title: 'a name that begins with a digit', name: '1algebra', says: ['metadata.name does not fit'] },
  { title: 'a long name', name: `a${long(40)}`, says: ['metadata.name does not fit', 'at most 40'] },
  { title: 'a name with capitals', name: 'Algebra', says: ['metadata.name'] },
];
