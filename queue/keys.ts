/**
 * Every name that stands in a shard's Redis, once. PROTOCOL.md says what each holds and who writes it. One Redis is
 * private to one shard of one session, so keys have no prefix.
 */
export const keys = {
  meta: 'meta',
  session: 'session',
  state: 'state',
  writers: 'writers',
  students: 'students',
  events: 'events',
  finished: 'finished',
  deadlines: 'deadlines',
  audit: 'audit',
  barrier: 'barrier',
} as const;

/** Fields of the hash `meta`. */
export const metaFields = {
  format: 'format',
  uid: 'uid',
  incarnation: 'incarnation',
  exam: 'exam',
  shard: 'shard',
  shards: 'shards',
} as const;

/** What `meta.format` says: the version of the layout that PROTOCOL.md describes. */
export const metaFormat = '1';

/** Fields of the hash `session`; `sessionfields.ts` reads and writes their values. */
export const sessionFields = {
  phase: 'phase',
  closesAt: 'closesAt',
  graceMs: 'graceMs',
  late: 'late',
  drainUntil: 'drainUntil',
  verified: 'verified',
  notice: 'notice',
  rehearsal: 'rehearsal',
  full: 'full',
  deadlinesVersion: 'deadlinesVersion',
} as const;

/** Fields of the hash `state`. */
export const stateFields = {
  sealed: 'sealed',
  sealId: 'sealId',
  events: 'events',
  bytes: 'bytes',
  entries: 'entries',
  digest: 'digest',
  lastId: 'lastId',
} as const;

/** What `state.digest` is before the first batch. */
export const emptyDigest = '0'.repeat(40);

/** Fields of an entry of the stream `events`. `total` stands only in the last entry, which `seal` writes. */
export const entryFields = { batch: 'b', codec: 'c', count: 'n', digest: 'd', total: 'events' } as const;

/** What the entry field `codec` may say: how the batch is stored, or that the entry is the seal. */
export const entryCodecs = { raw: 'raw', zstd: 'zstd', seal: 'seal' } as const;

/** The field of the hash `writers`. The writer stands first because it holds no colon, which a student may. */
export function writerField(writer: string, student: string): string {
  return `${writer}:${student}`;
}

/** Takes apart what {@link writerField} made. A text without a colon gives an empty student, which no check admits. */
export function splitWriterField(field: string): { writer: string; student: string } {
  const colon = field.indexOf(':');
  if (colon < 0) return { writer: field, student: '' };
  return { writer: field.slice(0, colon), student: field.slice(colon + 1) };
}
