import * as z from 'zod';
import { problem } from '#queue/problem.ts';
import { dateTimePattern, isDateTime } from './datetime.ts';
import { explainFields } from './fielderrors.ts';
import { dataKey, objectName, podSchema, quantity, resourcesSchema } from './podschema.ts';
import { specRules } from './rules.ts';
import { parseYaml } from './yamltext.ts';

/**
 * The resource that everything follows from: what a platform team asks for. A field stands here only when something
 * honours it; unknown fields are errors, so that a wish is never taken in silence and ignored.
 *
 * The schema also makes the CRD, so it has no unions, and times are text with the format `date-time`.
 */

/** Every default of the resource. Left out here: `exam` and `auth.audience` (the session's name), the counts that the plan works out, and what has no default. */
export const sessionDefaults = {
  phase: 'Active',
  provisionLeadMinutes: 30,
  graceSeconds: 10,
  late: 'Refuse',
  autoFinalize: false,
  rehearsal: false,
  answers: { perStudent: 200, bytes: 250 },
  auth: { secretRef: { key: 'token.key' } },
  roster: { configMap: { key: 'roster.csv' } },
  gateway: { studentsPerReplica: 5_000, autoscale: false },
  redis: { studentsPerShard: 10_000 },
  export: { table: 'EXAM_ANSWERS', batchRows: 5_000, postgres: { port: 5_432, schema: 'public', tls: 'Verify' } },
} as const satisfies Record<string, unknown>;

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

const accessSchema = z
  .strictObject({
    host: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
      .max(253)
      .optional()
      .describe(
        'On a cluster: the host name at which students connect, over TLS. It implies a route to the gateways, the Secret of its certificate, and an allowed origin. Left out: a Service within the cluster.',
      ),
    tlsSecret: objectName(
      "On a cluster: the Secret with the host's certificate. Default: the session's name with -tls.",
    ).optional(),
    ingressClass: objectName("On a cluster: the class of the Ingress. Left out: the cluster's default.").optional(),
    gateway: z
      .strictObject({
        name: objectName('The Gateway.'),
        namespace: objectName("Its namespace. Default: the session's.").optional(),
        section: objectName('The listener of the Gateway. Left out: every one that fits.').optional(),
      })
      .optional()
      .describe('On a cluster: a Gateway that an HTTPRoute is attached to, in place of an Ingress.'),
    origins: z
      .array(
        z
          .string()
          .regex(/^(\*|https?:\/\/[!-.0-~]+)$/)
          .describe('One origin, without a path.'),
      )
      .max(64)
      .default([])
      .describe(
        'Origins of pages that may connect, such as https://exam.example.edu; "*" allows all. Pages of the gateway\'s own host always may.',
      ),
  })
  .prefault({})
  .describe('How students reach the gateways.');

const authSchema = z
  .strictObject({
    secretRef: z
      .strictObject({
        name: objectName('The Secret.'),
        key: dataKey
          .default(sessionDefaults.auth.secretRef.key)
          .describe('Its key: at least 32 random bytes as base64url text.'),
      })
      .optional()
      .describe('On a cluster: a Secret with the key that tokens are signed with (HS256). Left out: one is made.'),
    jwksUrl: z
      .string()
      .regex(/^https?:\/\/[!-~]+$/)
      .optional()
      .describe(
        'Where the public keys of your identity provider are fetched. Left out: a signing key is made for the session.',
      ),
    issuer: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe('The `iss` that tokens must carry. Left out: not looked at.'),
    audience: z
      .string()
      .min(1)
      .max(512)
      .optional()
      .describe("The `aud` that tokens must carry. Default: the session's name."),
  })
  .prefault({})
  .describe('Whose tokens are believed.');

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
    minReplicas: z.int().min(1).max(1_000).optional().describe('Gateways at least.'),
    maxReplicas: z.int().min(1).max(1_000).optional().describe('Gateways at most.'),
    autoscale: z
      .boolean()
      .default(sessionDefaults.gateway.autoscale)
      .describe('On a cluster: more gateways while their CPUs are busy, up to maxReplicas; fewer only slowly.'),
    resources: resourcesSchema,
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
    storage: quantity('On a cluster: size of the volume of each shard. Left out: as planned.'),
    storageClass: objectName(
      "On a cluster: class of the shards' volumes. Left out: the operator's default.",
    ).optional(),
    resources: resourcesSchema,
    pod: podSchema,
  })
  .prefault({})
  .describe('The queue: one Redis a shard, with an append-only file that is synced before every acknowledgement.');

const postgresPreset = sessionDefaults.export.postgres;
const filePath = (description: string) => z.string().min(1).max(4_096).optional().describe(description);

const postgresSchema = z
  .strictObject({
    host: z
      .string()
      .regex(/^[!-~]{1,255}$/)
      .describe('Name or address of the server, or the folder of its Unix socket.'),
    port: z.int().min(1).max(65_535).default(postgresPreset.port).describe('Port of the server.'),
    database: z.string().min(1).max(63).describe('The database. Its encoding must be UTF8.'),
    user: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe(
        'Who the exporter is there; docs/postgres.md says what it must be granted. Left out: as credentialsSecret says.',
      ),
    passwordFile: filePath(
      "A file with the user's password, on one machine; a relative path begins at the data folder.",
    ),
    credentialsSecret: objectName(
      'On a cluster: a Secret with username and password, and, where needed, ca.crt, tls.crt and tls.key.',
    ).optional(),
    schema: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/)
      .default(postgresPreset.schema)
      .describe('The schema of the table, and of what the exporter keeps beside it. Upper and lower case differ.'),
    tls: z
      .strictObject({
        mode: z
          .enum(['Verify', 'Off'])
          .default(postgresPreset.tls)
          .describe(
            "Verify: encrypted, and the server's certificate must be valid for the host. Off: everybody on the way can read the answers.",
          ),
        caFile: filePath('Certificates (PEM) of the authorities to believe. Left out: those that Node knows.'),
        certFile: filePath('Our certificate (PEM), where the server asks for one.'),
        keyFile: filePath('Its key (PEM).'),
      })
      .prefault({})
      .describe('How the connection is protected. Nothing of it applies to a Unix socket.'),
  })
  .optional()
  .describe('Into a PostgreSQL server, version 13 or newer.');

const exportSchema = z
  .strictObject({
    table: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]{0,99}$/)
      .default(sessionDefaults.export.table)
      .describe("The table that takes the answers. A rehearsal's gets the suffix _REHEARSAL."),
    batchRows: z
      .int()
      .min(100)
      .max(100_000)
      .default(sessionDefaults.export.batchRows)
      .describe('Rows that are loaded at a time.'),
    duckdb: z
      .strictObject({})
      .optional()
      .describe('Into a DuckDB database that is kept with the session. The default when no target is given.'),
    postgres: postgresSchema,
    keepQueueFor: z
      .string()
      .regex(/^[1-9][0-9]{0,4}(h|d)$/)
      .optional()
      .describe(
        'On a cluster: how long the volumes of the queue are kept after the export is verified, such as 72h or 14d. Left out: until somebody deletes them.',
      ),
    volume: z
      .strictObject({
        storage: quantity('Its size. Left out: as planned.'),
        storageClass: objectName("Its class. Left out: the operator's default.").optional(),
      })
      .optional()
      .describe('On a cluster: the volume that keeps database, archive and report.'),
    resources: resourcesSchema,
    pod: podSchema,
  })
  .prefault({})
  .describe('Where the answers go.');

const rosterSchema = z
  .strictObject({
    file: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.csv$/)
      .optional()
      .describe(
        'On one machine: a CSV file beside the session file, one student a line: student, extra minutes. `run -f` copies it into the data folder with the session.',
      ),
    configMap: z
      .strictObject({
        name: objectName('The ConfigMap.'),
        key: dataKey.default(sessionDefaults.roster.configMap.key).describe('Its key, with the same CSV.'),
      })
      .optional()
      .describe('On a cluster: a ConfigMap with the same CSV.'),
  })
  .optional()
  .describe('The students that are expected, with extra minutes after closesAt for those who have them.');

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
