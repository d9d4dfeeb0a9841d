import { join } from 'node:path';
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
  /** This or `userFile`. */
  user: text.nullish(),
  /** A file with the user's name, as a mounted Secret has it. */
  userFile: text.nullish(),
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
      /** A mounted Secret: of its `ca.crt`, `tls.crt` and `tls.key` those are taken that are there. */
      folder: text.nullish(),
      /** Name that the server's certificate must be valid for, where it is not that of the host. */
      servername: text.nullish(),
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
  readonly tls: PostgresTls | null;
  readonly patienceSeconds: number;
}

export interface PostgresTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/**
 * The configuration with the files that it names.
 * @param files reads the file that a field names, or says by itself what is wrong with it
 * @param wrong takes what is wrong otherwise, with the name of its field
 */
export function postgresSettings(
  config: PostgresConfig,
  files: { read(field: string, path: string): string; isThere(path: string): boolean },
  wrong: string[],
): PostgresSettings {
  const { host, port, database, schema, patienceSeconds } = config;
  const read = (field: string, path: string | null | undefined) => (path == null ? null : files.read(field, path));
  if ((config.user == null) === (config.userFile == null)) wrong.push('sink: it needs one of user and userFile');
  const user = config.user ?? read('userFile', config.userFile) ?? '';
  const { ca, cert, key } = tlsFiles(config.tls, files.isThere, wrong);
  const password = read('passwordFile', config.passwordFile);
  const texts = {
    ca: read('tls.caFile', ca),
    cert: read('tls.certFile', cert),
    key: read('tls.keyFile', key),
    servername: config.tls.servername ?? null,
  };
  // There is no TLS on a Unix socket: nobody is in between.
  const plain = config.tls.mode === 'Off' || host.startsWith('/');
  const tls = plain ? null : Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== null));
  return { host, port, database, user, password, schema, tls, patienceSeconds };
}

/** The paths of what TLS needs: named one by one, or as a Secret is mounted. */
function tlsFiles(tls: PostgresConfig['tls'], isThere: (path: string) => boolean, wrong: string[]) {
  const { folder, caFile, certFile, keyFile } = tls;
  if (folder != null && (caFile ?? certFile ?? keyFile) != null) {
    wrong.push('sink.tls: folder stands for caFile, certFile and keyFile; it is this or those');
  }
  const at = (name: string) => (folder != null && isThere(join(folder, name)) ? join(folder, name) : null);
  const [ca, cert, key] = [caFile ?? at('ca.crt'), certFile ?? at('tls.crt'), keyFile ?? at('tls.key')];
  if ((cert === null) !== (key === null)) {
    wrong.push(`sink.tls: ${folder == null ? 'certFile and keyFile' : 'tls.crt and tls.key'} belong together`);
  }
  return { ca, cert, key };
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
