import { join } from 'node:path';
import * as z from 'zod';
import { configText as text } from '#queue/configfile.ts';
import { mostNameBytes } from './names.ts';

export const oracleDefaults = {
  partition: 'None',
  targetLogging: 'Logging',
  loading: 'DirectPath',
  /** How long a step is tried again while the server is away, starting, or somebody holds a lock. */
  patienceSeconds: 60,
} as const;

/** A name that needs no quotes: in capitals, as the dictionary has it, whichever way it was written. */
const name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_$#]{0,127}$/, 'must be a letter, then letters, digits, _, $ or #: a name without quotes')
  .transform((value) => value.toUpperCase());

/** The sink's part of the exporter's configuration. Files are named, never secrets. */
export const oracleSchema = z.strictObject({
  kind: z.literal('oracle'),
  /** host:port/service, `tcps://host:port/service` for TLS, or a whole description. Without user and password. */
  connectString: text.refine((value) => !value.includes('@'), 'must not hold user and password: name their files'),
  /** This or `userFile`. */
  user: text.nullish(),
  /** A file with the user's name, as a mounted Secret has it. */
  userFile: text.nullish(),
  passwordFile: text,
  /** Owner of the target, where it is not the user. Then it must have been made, and granted; control and staging stay with the user. */
  schema: name.nullish(),
  /** Where the user's tables go. Left out: the user's default tablespace. */
  tablespace: name.nullish(),
  /** Of a target that the exporter makes: List, a partition an exam; Interval, a partition a month of DURABLE_AT. */
  partition: z.enum(['None', 'List', 'Interval']).default(oracleDefaults.partition),
  /** Of a target that the exporter makes. NoLogging: faster, and in no backup until somebody makes one. */
  targetLogging: z.enum(['Logging', 'NoLogging']).default(oracleDefaults.targetLogging),
  /** Conventional: array INSERTs from the start; DirectPath turns to them where the server refuses it. */
  loading: z.enum(['DirectPath', 'Conventional']).default(oracleDefaults.loading),
  tls: z
    .strictObject({
      /** PEM: authorities to believe, beside those that Node knows. */
      caFile: text.nullish(),
      certFile: text.nullish(),
      keyFile: text.nullish(),
      /** A mounted Secret: of its `ca.crt`, `tls.crt`, `tls.key` and `ewallet.pem` those are taken that are there. */
      folder: text.nullish(),
      /** An `ewallet.pem`, in place of the others. */
      walletFile: text.nullish(),
      walletPasswordFile: text.nullish(),
      /** Distinguished name that the server's certificate must have, where its host name does not fit. */
      serverDn: text.nullish(),
    })
    .prefault({}),
  patienceSeconds: z.number().min(0).max(3_600).default(oracleDefaults.patienceSeconds),
});

export type OracleConfig = z.output<typeof oracleSchema>;

/** What the sink works with: the same, with the files read. */
export interface OracleSettings {
  readonly connectString: string;
  readonly user: string;
  readonly password: string;
  /** Null: the user's own. */
  readonly schema: string | null;
  readonly tablespace: string | null;
  readonly partition: OracleConfig['partition'];
  readonly targetLogging: OracleConfig['targetLogging'];
  readonly loading: OracleConfig['loading'];
  readonly tls: OracleTls;
  readonly patienceSeconds: number;
}

export interface OracleTls {
  /** PEM of our certificate, its key and the authorities to believe. */
  readonly wallet: string | null;
  readonly walletPassword: string | null;
  /** PEM of authorities only: the driver takes no wallet without a key. */
  readonly ca: string | null;
  readonly serverDn: string | null;
}

export interface NamedFiles {
  /** Reads the file that a field names, or says by itself what is wrong with it. */
  read(field: string, path: string): string;
  isThere(path: string): boolean;
}

/**
 * The configuration with the files that it names.
 * @param wrong takes what is wrong otherwise, with the name of its field
 */
export function oracleSettings(config: OracleConfig, files: NamedFiles, wrong: string[]): OracleSettings {
  const { connectString, partition, targetLogging, loading, patienceSeconds } = config;
  if ((config.user == null) === (config.userFile == null)) wrong.push('sink: it needs one of user and userFile');
  const user = config.user ?? (config.userFile == null ? '' : files.read('userFile', config.userFile));
  const password = files.read('passwordFile', config.passwordFile);
  const place = { schema: config.schema ?? null, tablespace: config.tablespace ?? null };
  const tls = tlsOf(config.tls, files, wrong);
  return { connectString, user, password, ...place, partition, targetLogging, loading, tls, patienceSeconds };
}

function tlsOf(tls: OracleConfig['tls'], files: NamedFiles, wrong: string[]): OracleTls {
  const read = (field: string, path: string | null) => (path === null ? null : files.read(`tls.${field}`, path));
  const { wallet, ca, cert, key } = pathsOf(tls, files, wrong);
  if ((cert === null) !== (key === null)) {
    wrong.push(`sink.tls: ${tls.folder == null ? 'certFile and keyFile' : 'tls.crt and tls.key'} belong together`);
  }
  if (wallet !== null && (ca ?? cert) !== null) wrong.push('sink.tls: a wallet holds everything; it is this or those');
  const pems = { ca: read('caFile', ca), cert: read('certFile', cert), key: read('keyFile', key) };
  const own = pems.cert === null ? null : [pems.cert, pems.key, pems.ca ?? ''].join('\n');
  return {
    wallet: read('walletFile', wallet) ?? own,
    walletPassword: read('walletPasswordFile', tls.walletPasswordFile ?? null),
    ca: pems.cert === null ? pems.ca : null,
    serverDn: tls.serverDn ?? null,
  };
}

/** Named one by one, or as a Secret is mounted. */
function pathsOf(tls: OracleConfig['tls'], files: NamedFiles, wrong: string[]) {
  const { folder, caFile, certFile, keyFile, walletFile } = tls;
  if (folder != null && (caFile ?? certFile ?? keyFile ?? walletFile) != null) {
    wrong.push('sink.tls: folder stands for caFile, certFile, keyFile and walletFile; it is this or those');
  }
  const at = (file: string) => (folder != null && files.isThere(join(folder, file)) ? join(folder, file) : null);
  return {
    wallet: walletFile ?? at('ewallet.pem'),
    ca: caFile ?? at('ca.crt'),
    cert: certFile ?? at('tls.crt'),
    key: keyFile ?? at('tls.key'),
  };
}

/** What is wrong with a name for the target, or null. @param table with the suffix of a rehearsal */
export function tableFault(table: string): string | null {
  if (table.toUpperCase().startsWith('UNTRADEX_')) return 'names that begin with UNTRADEX_ are for the control tables';
  if (Buffer.byteLength(table) <= mostNameBytes) return null;
  return `${table} is longer than ${mostNameBytes} bytes: Oracle refuses it`;
}

/** The target in words, for people and for the plan of an attempt: no user, no secret. */
export function oracleTarget({ connectString, schema }: OracleConfig): string {
  return `oracle ${connectString}${schema == null ? '' : ` schema ${schema}`}`;
}
