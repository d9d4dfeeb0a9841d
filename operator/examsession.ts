import * as z from 'zod';
import { problem } from '#queue/problem.ts';
import { accessSchema, authSchema, rosterSchema } from './accessschema.ts';
import { dateTimePattern, isDateTime } from './datetime.ts';
import { exportSchema } from './exportschema.ts';
import { explainFields } from './fielderrors.ts';
import { bytes, objectName, podSchema, resources } from './podschema.ts';
import { specRules } from './rules.ts';
import { sessionDefaults } from './sessiondefaults.ts';
import { parseYaml } from './yamltext.ts';

/**
 * The resource that everything follows from: what a platform team asks for. A field stands here only when something
 * honours it; unknown fields are errors, so that a wish is never taken in silence and ignored.
 *
 * The schema also makes the CRD, so it has no unions, and times are text with the format `date-time`.
 */

export const apiVersion = 'untradex.io/v1alpha1';
export const kind = 'ExamSession';

const dateTime = (description: string) =>
  z.string().refine(isDateTime).meta({ description, format: 'date-time', pattern: dateTimePattern.source }).optional();

const answersSchema = z
  .strictObject({
    perStudent: z
      .int()
      .min(1)
      .max(20_000)
      .default(sessionDefaults.answers.perStudent)
      .describe('Events that one student sends, about. An estimate that sizes memory and storage.'),
    bytes: z
      .int()
      .min(1)
      .max(16_384)
      .default(sessionDefaults.answers.bytes)
      .describe('Bytes of one event, about. An estimate that sizes memory and storage.'),
  })
  .prefault({})
  .describe(
    'What the queue is sized for. Estimates, not limits: the queue refuses new events only when it is 80 % full.',
  );

const gatewaySchema = z
  .strictObject({
    replicas: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe('Gateways, exactly. Left out: worked out from students and studentsPerReplica, and one to spare.'),
    studentsPerReplica: z
      .int()
      .min(100)
      .max(20_000)
      .default(sessionDefaults.gateway.studentsPerReplica)
      .describe('Students that one gateway is planned for.'),
    minReplicas: z.int().min(1).max(1_000).optional().describe('Gateways at least, where fewer are worked out.'),
    maxReplicas: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe(
        'Gateways at most, where more are worked out or autoscale wants more. Left out: as many as worked out; with autoscale twice as many.',
      ),
    autoscale: z
      .boolean()
      .default(sessionDefaults.gateway.autoscale)
      .describe(
        'On a cluster: more gateways than worked out while their CPUs are busy, up to maxReplicas; fewer again only slowly. It can be switched at any time.',
      ),
    resources: resources(),
    pod: podSchema,
  })
  .prefault({})
  .describe("The gateways, which take the students' connections.");

const refillSchema = z
  .array(
    z
      .strictObject({
        shard: z.int().min(0).max(999).describe('The number of the shard.'),
        incarnation: z
          .string()
          .min(1)
          .max(64)
          .describe('The incarnation that is given up, as the condition QueueReady tells it.'),
      })
      .describe('One shard whose data is given up.'),
  )
  .max(1_000)
  .default([])
  .describe(
    'Shards whose data is gone for good: each is made anew, empty, and filled again from the devices of its students. What no device has any more is lost. An entry has no effect on a shard that works.',
  );

const redisSchema = z
  .strictObject({
    shards: z
      .int()
      .min(1)
      .max(1_000)
      .optional()
      .describe(
        'Shards, exactly. Left out: worked out from students and studentsPerShard. What exists is never re-sharded.',
      ),
    studentsPerShard: z
      .int()
      .min(100)
      .max(100_000)
      .default(sessionDefaults.redis.studentsPerShard)
      .describe('Students that one shard is planned for. Fewer means that a shard is back sooner after a crash.'),
    refill: refillSchema,
    storage: bytes(
      'Storage of each shard, such as 20Gi. It may grow, never shrink. On one machine: what the disk should have room for. Left out: as planned.',
    ),
    storageClass: objectName(
      "On a cluster: the class of the shards' volumes. Fixed once they are made. Left out: the operator's default, else the cluster's.",
    ).optional(),
    resources: resources(' It says how much Redis may hold, on one machine too.'),
    pod: podSchema,
  })
  .prefault({})
  .describe('The queue: one Redis a shard, with an append-only file that is synced before every acknowledgement.');

const specSchema = z
  .strictObject({
    students: z.int().min(1).max(1_000_000).describe('Students that are expected. Everything is sized from this.'),
    exam: z
      .string()
      .regex(/^[\p{L}\p{N}][\p{L}\p{N} ._:/-]{0,127}$/u)
      .optional()
      .describe("Name of the exam, written to every row. Default: the session's name."),
    phase: z
      .enum(['Active', 'Finalizing'])
      .default(sessionDefaults.phase)
      .describe(
        'What the admin wants. Finalizing seals the session and exports it; it can be taken back until sealing begins.',
      ),
    opensAt: dateTime('When students may begin to connect. Left out: at once.'),
    closesAt: dateTime('The deadline. Left out: none; the session runs until it is finalized.'),
    provisionLeadMinutes: z
      .int()
      .min(0)
      .max(10_080)
      .default(sessionDefaults.provisionLeadMinutes)
      .describe('How long before opensAt everything is made ready.'),
    graceSeconds: z
      .int()
      .min(0)
      .max(86_400)
      .default(sessionDefaults.graceSeconds)
      .describe('How long answers on their way are still taken after a deadline, and after finalizing until the seal.'),
    late: z
      .enum(['Refuse', 'Mark'])
      .default(sessionDefaults.late)
      .describe('What happens to answers after the deadline and its grace: refused, or kept and marked LATE.'),
    autoFinalize: z
      .boolean()
      .default(sessionDefaults.autoFinalize)
      .describe("Finalize by itself when the last student's deadline has passed."),
    rehearsal: z
      .boolean()
      .default(sessionDefaults.rehearsal)
      .describe("For synthetic students only: real students' tokens are refused, and rows go to a table of their own."),
    roster: rosterSchema,
    answers: answersSchema,
    access: accessSchema,
    auth: authSchema,
    gateway: gatewaySchema,
    redis: redisSchema,
    export: exportSchema,
  })
  .describe('What is wanted.');

export const examSessionSchema = z
  .strictObject({
    apiVersion: z.literal(apiVersion).describe('The version of this resource.'),
    kind: z.literal(kind).describe('The kind of this resource.'),
    metadata: z
      .strictObject({
        name: z
          .string()
          .regex(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/)
          .describe("The session's name: lower-case letters, digits and dashes, beginning with a letter, at most 40."),
      })
      .describe('Who this is.'),
    spec: specSchema,
  })
  .describe('An online exam: gateways and a queue sized for its students, and the export of every answer with proof.');

/** A session as asked for, with every default filled in. */
export type ExamSession = z.output<typeof examSessionSchema>;
export type ExamSpec = ExamSession['spec'];

/**
 * Reads one ExamSession from YAML (or JSON) text and fills in the defaults.
 * @throws Problem `session_invalid`, whose message lists every wrong field, one a line: `path (line N): what is wrong`
 */
export function readExamSession(yamlText: string): ExamSession {
  const { value, lineOf, errors } = parseYaml(yamlText);
  const faults = errors.length > 0 ? errors : [];
  if (faults.length === 0) {
    const parsed = examSessionSchema.safeParse(value);
    faults.push(...explainFields(examSessionSchema, parsed.error?.issues ?? [], value, lineOf));
    faults.push(...brokenRules(value).map(([path, text]) => `${path.join('.')}${lineOf(path)}: ${text}`));
    if (faults.length === 0) return parsed.data!;
  }
  throw problem(
    'session_invalid',
    `this is not a valid ExamSession:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    'mend the fields that are named; `untradex plan --help` shows a small session',
  );
}

/** The name that is written to every row. */
export function examName(session: ExamSession): string {
  return session.spec.exam ?? session.metadata.name;
}

/** They look at the raw value, so that they are told together with the wrong fields. */
function brokenRules(value: unknown): [path: string[], text: string][] {
  const spec = (value as { spec?: Record<string, unknown> } | null)?.spec;
  if (typeof spec !== 'object' || spec === null) return [];
  return specRules.filter((rule) => rule.broken(spec)).map(({ field, text }) => [['spec', ...field.split('.')], text]);
}
