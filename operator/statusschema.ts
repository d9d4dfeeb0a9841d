import * as z from 'zod';
import { problem } from '#queue/problem.ts';
import { attemptStates } from './platform.ts';
import { phases, type SessionStatus } from './status.ts';

/**
 * The status as it stands in a cluster: of the same shape as `SessionStatus` (a test compares the types), but that a
 * field is left out where a session has null: server-side apply refuses null, and every other write drops it.
 */
const text = (description: string) => z.string().describe(description);
const count = (description: string) => z.int().min(0).describe(description);
const number = (description: string) => z.number().min(0).describe(description);
const time = (description: string) => z.string().meta({ description, format: 'date-time' });
const orNull = <T extends z.ZodType>(schema: T) => schema.nullable().default(null as never);

const conditionSchema = z
  .strictObject({
    type: text(
      'What this is about: Accepted, QueueReady, GatewayReady, Ready, Sealed, Exported, Verified, Degraded or Paused.',
    ),
    status: z.enum(['True', 'False', 'Unknown']).describe('Whether it is so.'),
    reason: text('Why, in one word for programs.'),
    message: text('Why, for people: what is waited for, and what to do.'),
    lastTransitionTime: time('When the status of this condition last changed.'),
    observedGeneration: count('The generation of the spec that this was judged from.'),
  })
  .describe('One thing that is so, or not, and why.');

const planSchema = z
  .strictObject({
    replicas: count('Gateways.'),
    shards: count('Shards: one Redis each.'),
    cpu: number('CPUs of all gateways and shards.'),
    memory: text('Memory of all gateways and shards.'),
    storage: text('Storage of all shards.'),
    why: z.array(text('One step of the arithmetic.')).describe('The arithmetic, a line a step.'),
  })
  .describe('What the session needs.');

const studentsSchema = z
  .strictObject({
    expected: count('As the spec says.'),
    connected: count('Connected now.'),
    seen: count('Students of whom something is in the queue.'),
    finished: count('Students who said that they are done.'),
  })
  .describe('Counts of students; single students are never told here.');

const eventsSchema = z
  .strictObject({
    accepted: count('Taken in by the gateways.'),
    durable: count('Safe in the queue, and so acknowledged.'),
    exported: count('In the table.'),
  })
  .describe('Counts of answers.');

const witnessSchema = z
  .strictObject({
    shard: count('The number of the shard.'),
    lastId: text('Id of the last entry of its log; empty: there is none.'),
    events: count('Events in it.'),
    digest: text('Running digest over all of its batches.'),
    incarnation: text('Which birth of the shard this is about.'),
  })
  .describe('What one shard held.');

const redisSchema = z
  .strictObject({
    witnesses: z.array(witnessSchema).describe('What each shard held when it was last seen; final after the seal.'),
    root: orNull(text('Merkle root over all writers of the sealed session.')),
  })
  .describe('The queue, kept outside of it, so that lost data is noticed.');

const exportSchema = z
  .strictObject({
    attempt: count('Number of the latest attempt.'),
    state: z.enum(attemptStates).describe('How it stands; blocked: a person must mend something first.'),
    step: z.enum(['load', 'publish', 'verify']).describe('What it does or did last.'),
    rows: count('Rows done in this step; all rows when it has succeeded.'),
    total: count('Rows that the step has to do; 0: not known.'),
    rowsPerSecond: number('How fast.'),
    digest: orNull(text('SHA-256 of the report.')),
    report: orNull(text('Where the report is.')),
    toldAt: orNull(time("Since when a gateway tells students' devices that everything is verified.")),
  })
  .describe('The latest attempt to export.');

const ackSchema = z
  .strictObject({
    p50: number('Median.'),
    p99: number('99 of 100 took at most this.'),
    max: number('The longest.'),
    count: count('Acknowledgements that were measured.'),
  })
  .describe('How long acknowledgements took lately, in ms.');

export const sessionStatusSchema = z
  .strictObject({
    name: text("The session's name."),
    uid: text("The session's uid when this was written: a restored or re-created session has another."),
    phase: z.enum(phases).describe('A summary for people; programs look at the conditions.'),
    url: orNull(text('Where students connect; not there while nobody can.')),
    observedGeneration: count('The generation of the spec that this is about.'),
    // Server-side apply drops the list with its last entry.
    conditions: z.array(conditionSchema).default([]).describe('What is so, and what is waited for.'),
    plan: planSchema,
    students: studentsSchema,
    events: eventsSchema,
    redis: redisSchema,
    export: orNull(exportSchema),
    ackMs: orNull(ackSchema),
    receiptPublicKey: text("Checks students' receipts (PEM)."),
    drainUntil: orNull(number("When draining ends, by the shards' clocks (ms since 1970).")),
    sealing: orNull(time('When sealing was decided. From then on there is no way back to Active.')),
  })
  .describe('What was seen, written by the operator.');

/** The status as it is written to a cluster by server-side apply, which also removes what is left out now. */
export function storedStatus(status: SessionStatus): object {
  return JSON.parse(JSON.stringify(status, (_, value: unknown) => (value === null ? undefined : value)));
}

/**
 * The status as it stands in a cluster; null when there is none yet. Fields that a newer version wrote are passed over.
 * @throws Problem `status_unreadable` when somebody else wrote one of another shape
 */
export function readStatus(stored: unknown): SessionStatus | null {
  if (stored === undefined || stored === null) return null;
  const first = sessionStatusSchema.safeParse(stored);
  const read = first.success ? first : sessionStatusSchema.safeParse(withoutUnknown(stored, first.error.issues));
  if (read.success) return read.data as SessionStatus;
  const fields = read.error.issues.map(({ path }) => ['status', ...path].join('.')).join(', ');
  throw problem(
    'status_unreadable',
    `the status of the session is not as the operator writes it: ${fields}`,
    'Somebody else wrote it. Put it back as it was, from a backup; or remove it: what is sealed is found out again.',
  );
}

function withoutUnknown(stored: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy = structuredClone(stored);
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const at = issue.path.reduce((value: unknown, key) => (value as Record<PropertyKey, unknown>)?.[key], copy);
    for (const key of issue.keys) delete (at as Record<string, unknown>)[key];
  }
  return copy;
}
