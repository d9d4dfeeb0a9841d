import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, relative, resolve } from 'node:path';
import { z } from 'zod';
import type { Endpoint } from '#queue/client.ts';
import { messageOf, readConfigJson, readNamedFile, configText as text } from '#queue/configfile.ts';
import { problem } from '#queue/problem.ts';
import { receiptKeyId } from '#queue/receipt.ts';
import type { ShardIdentity } from '#queue/shardcheck.ts';
import { endpointOf, shardEntry } from '#queue/shardentry.ts';
import { type AttemptPlan, tableOf } from './attempt.ts';
import {
  type OracleSettings,
  oracleSchema,
  oracleSettings,
  tableFault as oracleTableFault,
  oracleTarget,
} from './sinks/oracle/config.ts';
import {
  type PostgresSettings,
  postgresSchema,
  postgresSettings,
  postgresTarget,
  tableFault,
} from './sinks/postgres/config.ts';

/** What the DuckDB sink may use. A loader and a publisher never run on the same session at once. */
export const duckdbDefaults = {
  /** Memory of DuckDB's buffers, MiB; what does not fit goes to the staging folder. The process needs some more. */
  memoryMb: 512,
  threads: Math.min(4, availableParallelism()),
  /** How long the publisher waits for somebody who has the database open. */
  lockWaitSeconds: 30,
} as const;

const witness = z.object({
  shard: z.int().min(0),
  lastId: z.string().regex(/^\d{1,16}-\d{1,16}$/, 'must be the id of the entry that sealed the shard, ms-n'),
  events: z.int().min(0),
  digest: z.string().regex(/^[0-9a-f]{40}$/, 'must be 40 hex digits'),
});

/** A name that needs no quoting in any database; it is quoted all the same. The suffix of a rehearsal still fits. */
const tableName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,99}$/, 'must be a letter, then at most 99 letters, digits or _')
  .refine((name) => name.toUpperCase() !== 'UNTRADEX_EXPORTS', 'is the name of the control table');

const duckdb = z.strictObject({
  kind: z.literal('duckdb'),
  /** The file that takes the rows; made when missing. */
  database: text,
  /** Folder for what is staged, a folder an attempt in it; it is the archive afterwards. */
  staging: text,
  memoryMb: z.int().min(64).max(1_048_576).default(duckdbDefaults.memoryMb),
  threads: z.int().min(1).max(256).default(duckdbDefaults.threads),
  lockWaitSeconds: z.number().min(0).max(3_600).default(duckdbDefaults.lockWaitSeconds),
});

const file = z.strictObject({
  session: z.strictObject({ name: text, uid: z.uuid(), exam: text, rehearsal: z.boolean().default(false) }),
  attempt: z.int().min(1).max(1_000_000_000),
  shards: z.array(shardEntry).min(1).max(1_024),
  witnesses: z.array(witness),
  root: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits'),
  sink: z.discriminatedUnion('kind', [duckdb, postgresSchema, oracleSchema]),
  table: tableName,
  batchRows: z.int().min(1).max(100_000).default(5_000),
  report: text,
  receiptPublicKey: text.nullish(),
  samples: text.nullish(),
  roster: text.nullish(),
  /** Takes the last line, the result or problem, as `outcomefile.ts` writes it. */
  outcomeFile: text.nullish(),
  /** Port of `progressserver.ts`. */
  opsPort: z.int().min(1).max(65_535).nullish(),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

type ConfigFile = z.output<typeof file>;

export type DuckdbSettings = Omit<z.output<typeof duckdb>, 'kind'>;

/** One of the sinks, with what it needs. */
export type SinkSettings =
  | ({ readonly kind: 'duckdb' } & DuckdbSettings)
  | ({ readonly kind: 'postgres' } & PostgresSettings)
  | ({ readonly kind: 'oracle' } & OracleSettings);

/** Everything that the exporter is told, checked, with the small files that it names already read. Paths are absolute. */
export interface ExporterConfig {
  readonly plan: AttemptPlan;
  readonly shards: readonly { readonly endpoint: Endpoint; readonly identity: ShardIdentity }[];
  readonly sink: SinkSettings;
  /** The sink in words, for people. */
  readonly target: string;
  /** Where the report goes. */
  readonly report: string;
  /** PEM, for the report: with it anybody can check a receipt. */
  readonly receiptPublicKey: string | null;
  /** NDJSON of rates and latencies, for the report's plots. */
  readonly samples: string | null;
  /** JSON list of the students that were expected: ids, or lists that begin with one. */
  readonly roster: string | null;
  /** Where whoever runs the program asks for its progress; null: nobody does. */
  readonly opsPort: number | null;
  readonly logLevel: ConfigFile['logLevel'];
}

/**
 * Reads the exporter's configuration (JSON) and the files that it names; relative paths begin at its own folder.
 * @throws one Problem `exporter_config_invalid` that lists everything that is wrong
 */
export function readConfig(path: string): ExporterConfig {
  const wrong: string[] = [];
  const config = build(readConfigJson(path, wrong), dirname(resolve(path)), wrong);
  if (config && wrong.length === 0) return config;
  throw problem(
    'exporter_config_invalid',
    `the exporter cannot start with ${path}:\n${wrong.map((line) => `  ${line}`).join('\n')}`,
    'Mend each of the named fields and files.',
  );
}

/** The field `outcomeFile` of a configuration that may be wrong otherwise; null when it names none. */
export function outcomeFileOf(path: string): string | null {
  const { data } = z.object({ outcomeFile: text }).safeParse(readConfigJson(path, []));
  return data === undefined ? null : resolve(dirname(resolve(path)), data.outcomeFile);
}

function build(json: unknown, folder: string, wrong: string[]): ExporterConfig | null {
  if (json === undefined) return null;
  const parsed = file.safeParse(json);
  for (const issue of parsed.error?.issues ?? []) wrong.push(`${issue.path.join('.') || 'config'}: ${issue.message}`);
  wrong.push(...unwitnessed(json));
  const shards = readEndpoints(json, folder, wrong);
  const { data } = parsed;
  if (data === undefined) return null;
  checkKey(data.receiptPublicKey, wrong);
  const { session, sink } = data;
  const at = (path: string) => resolve(folder, path);
  const plan = planOf(data, at);
  return {
    plan,
    shards: data.shards.map(({ incarnation }, index) => ({
      endpoint: shards[index]!,
      identity: { uid: session.uid, shard: index, shards: data.shards.length, incarnation },
    })),
    sink: sinkOf(sink, plan.table, at, wrong),
    target: sink.kind === 'duckdb' ? `${sink.kind} ${at(sink.database)}` : serverTarget(sink),
    report: at(data.report),
    receiptPublicKey: data.receiptPublicKey ?? null,
    samples: data.samples == null ? null : at(data.samples),
    roster: data.roster == null ? null : at(data.roster),
    opsPort: data.opsPort ?? null,
    logLevel: data.logLevel,
  };
}

function sinkOf(sink: ConfigFile['sink'], table: string, at: (path: string) => string, wrong: string[]): SinkSettings {
  if (sink.kind === 'duckdb') return { ...sink, database: at(sink.database), staging: at(sink.staging) };
  const fault = sink.kind === 'oracle' ? oracleTableFault(table) : tableFault(table);
  if (fault !== null) wrong.push(`table: ${fault}`);
  const files = {
    read: (field: string, path: string) => readNamedFile(`sink.${field}`, at(path), wrong),
    isThere: (path: string) => existsSync(at(path)),
  };
  if (sink.kind === 'oracle') return { kind: sink.kind, ...oracleSettings(sink, files, wrong) };
  return { kind: sink.kind, ...postgresSettings(sink, files, wrong) };
}

function serverTarget(sink: Exclude<ConfigFile['sink'], { kind: 'duckdb' }>): string {
  return sink.kind === 'oracle' ? oracleTarget(sink) : postgresTarget(sink);
}

function planOf(data: ConfigFile, at: (path: string) => string): AttemptPlan {
  const { session, attempt, batchRows, root, sink } = data;
  return {
    session,
    attempt,
    target: sink.kind === 'duckdb' ? duckdbTarget(sink, at) : serverTarget(sink),
    table: tableOf(data.table, session.rehearsal),
    batchRows,
    witnesses: data.witnesses.toSorted((a, b) => a.shard - b.shard),
    root,
  };
}

/** Relative: a folder that was moved as a whole still holds the same attempt. */
function duckdbTarget({ kind, staging, database }: z.output<typeof duckdb>, at: (path: string) => string): string {
  return `${kind} ${relative(at(staging), at(database))}`;
}

/** Every shard has exactly one witness. Looked at apart from the other fields, so that all is told at once. */
function unwitnessed(json: unknown): string[] {
  const { shards, witnesses } = (json ?? {}) as Partial<Record<string, unknown>>;
  if (!Array.isArray(shards) || !Array.isArray(witnesses)) return [];
  const numbers = witnesses.map((one: unknown) => (one as { shard?: unknown } | null)?.shard);
  const wrong = shards.flatMap((_, index) => {
    const count = numbers.filter((number) => number === index).length;
    return count === 1 ? [] : [`witnesses: shard ${index} has ${count === 0 ? 'none' : count}, it needs one`];
  });
  const strange = numbers.filter((number) => typeof number === 'number' && (number < 0 || number >= shards.length));
  return [...wrong, ...strange.map((number) => `witnesses: there is no shard ${number}`)];
}

/** Reads what the shards' fields name, also when other fields are wrong; never shows what is in the files. */
function readEndpoints(json: unknown, folder: string, wrong: string[]): Endpoint[] {
  const parsed = z.object({ shards: z.array(shardEntry) }).safeParse(json);
  return (parsed.data?.shards ?? []).map((entry, index) =>
    endpointOf(entry, (field, path) => readNamedFile(`shards.${index}.${field}`, resolve(folder, path), wrong)),
  );
}

function checkKey(pem: string | null | undefined, wrong: string[]): void {
  try {
    if (pem != null) receiptKeyId(pem);
  } catch (error) {
    wrong.push(`receiptPublicKey: ${messageOf(error)}`);
  }
}
