import * as z from 'zod';
import { configText as text } from '#queue/configfile.ts';
import { mostNameBytes } from './names.ts';

export const postgresDefaults = {
  port: 5_432,
  schema: 'public',
  /** How long a step is tried again while the server is away, starting, or somebody holds a lock. */
  patienceSeconds: 60,
} as const;

const schemaName = text.refine(
  (name) => Buffer.byteLength(name) <= mostNameBytes,
  `must be at most ${mostNameBytes} bytes: PostgreSQL cuts longer names off`,
);

/** The sink's part of the exporter's configuration. Files are named, never secrets. */
export const postgresSchema = z.strictObject({
  kind: z.literal('postgres'),
  /** A name, an address, or the folder of a Unix socket, which begins with a slash. */
  host: text,
  port: z.int().min(1).max(65_535).default(postgresDefaults.port),
  database: text,
  user: text,
  /** Left out: the server must let the user in without one (a client certificate, `peer`). */
  passwordFile: text.nullish(),
  /** Where target, control tables and staging are. */
  schema: schemaName.default(postgresDefaults.schema),
  tls: z
    .strictObject({
      /** Off must be said: then whoever is between here and the server reads the answers. */
      mode: z.enum(['Verify', 'Off']).default('Verify'),
      /** PEM; left out: the authorities that Node knows. */
      caFile: text.nullish(),
      certFile: text.nullish(),
      keyFile: text.nullish(),
    })
    .prefault({}),
  patienceSeconds: z.number().min(0).max(3_600).default(postgresDefaults.patienceSeconds),
});

export type PostgresConfig = z.output<typeof postgresSchema>;

/** What the sink works with: the same, with the files read. */
export interface PostgresSettings {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  readonly schema: string;
  /** Null: not encrypted. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | null;
  readonly patienceSeconds: number;
}

/**
 * The configuration with the files that it names.
 * @param read reads the file that a field names, or says by itself what is wrong with it
 * @param wrong takes what is wrong otherwise, with the name of its field
 */
export function postgresSettings(
  config: PostgresConfig,
  read: (field: string, path: string) => string,
  wrong: string[],
): PostgresSettings {
  const { host, port, database, user, schema, patienceSeconds } = config;
  const { mode, caFile, certFile, keyFile } = config.tls;
  if ((certFile == null) !== (keyFile == null)) wrong.push('sink.tls: certFile and keyFile belong together');
  const password = config.passwordFile == null ? null : read('passwordFile', config.passwordFile);
  const files = {
    ...(caFile == null ? {} : { ca: read('tls.caFile', caFile) }),
    ...(certFile == null ? {} : { cert: read('tls.certFile', certFile) }),
    ...(keyFile == null ? {} : { key: read('tls.keyFile', keyFile) }),
  };
  // There is no TLS on a Unix socket: nobody is in between.
  const tls = mode === 'Off' || host.startsWith('/') ? null : files;
  return { host, port, database, user, password, schema, tls, patienceSeconds };
}

/** What is wrong with a name for the target, or null. @param table with the suffix of a rehearsal */
export function tableFault(table: string): string | null {
  if (table.toUpperCase().startsWith('UNTRADEX_')) return 'names that begin with UNTRADEX_ are for the control tables';
  if (table.length <= mostNameBytes) return null;
  return `${table} is longer than ${mostNameBytes} characters: PostgreSQL would cut it off`;
}

/** The target in words, for people and for the plan of an attempt: no user, no secret. */
export function postgresTarget({ host, port, database, schema }: PostgresConfig): string {
  return `postgres ${host}:${port}/${database} schema ${schema}`;
}
