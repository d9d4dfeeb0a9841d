import * as z from 'zod';
import { keepPattern } from './duration.ts';
import { bytes, objectName, podSchema, resources } from './podschema.ts';
import { sessionDefaults } from './sessiondefaults.ts';

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
        'Who the exporter is there; docs/postgres.md says what it must be granted. The username in credentialsSecret takes its place.',
      ),
    passwordFile: filePath(
      "On one machine: a file with the user's password. A relative path begins at the data folder.",
    ),
    credentialsSecret: objectName(
      'On a cluster: a Secret with username and password, and, where the server asks for them, ca.crt, tls.crt and tls.key (PEM).',
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
        caFile: filePath(
          'On one machine: certificates (PEM) of the authorities to believe. Left out: those that Node knows.',
        ),
        certFile: filePath('On one machine: our certificate (PEM), where the server asks for one.'),
        keyFile: filePath('On one machine: its key (PEM).'),
      })
      .prefault({})
      .describe('How the connection is protected. Nothing of it applies to a Unix socket.'),
  })
  .optional()
  .describe('Into a PostgreSQL server, version 13 or newer.');

export const exportSchema = z
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
      .regex(keepPattern)
      .optional()
      .describe(
        "On a cluster: how long the queue's volumes are kept after the export is verified, such as 72h or 14d. Left out: until somebody deletes them.",
      ),
    volume: z
      .strictObject({
        storage: bytes('Its size, such as 50Gi. It may grow, never shrink. Left out: as planned.'),
        storageClass: objectName("Its class. Left out: the operator's default, else the cluster's.").optional(),
      })
      .optional()
      .describe('On a cluster: the volume that keeps the DuckDB database, the archive and the report.'),
    resources: resources(),
    pod: podSchema,
  })
  .prefault({})
  .describe('Where the answers go.');
