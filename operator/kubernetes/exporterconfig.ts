import { join } from 'node:path';
import { quantity } from '../capacity.ts';
import type { ExamSpec } from '../examsession.ts';
import { eventsOf } from '../exportend.ts';
import type { AttemptPlan } from '../plan.ts';
import { numberOf } from '../quantity.ts';
import type { Roster } from '../roster.ts';
import { type ClusterSettings, paths, ports } from './clustersettings.ts';
import { objectNames, type SessionRef } from './names.ts';
import type { PodParts } from './resources/pod.ts';

/** What the pods of an attempt are told and given. Pure: it is made once, and kept with the attempt. */

/** Files of the attempt's ConfigMap, and where pods find them. */
export const exporterFiles = {
  config: 'exporter.json',
  roster: 'roster.json',
  /** The operator's own: {@link AttemptPlan}, {@link ExporterPods}, AttemptOutcome. Not mounted. */
  attempt: 'attempt.json',
  pods: 'pods.json',
  outcome: 'outcome.json',
} as const;

/** Where the Secret with a database's account is mounted. */
export const databaseSecretPath = '/etc/untradex-database';
/** Kubernetes reads a container's last words there. */
export const outcomeFile = '/dev/termination-log';

const MiB = 1_048_576;
const GiB = 1_024 * MiB;
/** A ConfigMap holds 1 MiB; 1,000 shards need some 600 kB, and the outcome some more. */
const mostRosterBytes = 700_000;
const mostDataBytes = 1_000_000;
/** Loaders at the same time, each with a connection and a COPY of its own. */
const mostLoaders = 4;
/** A DuckDB loader at a time: its claim is mounted on one node. */
const duckdbLoaders = 1;

export interface ExporterInput {
  readonly ref: SessionRef;
  readonly settings: ClusterSettings;
  readonly spec: ExamSpec;
  readonly attempt: AttemptPlan;
  readonly shards: readonly { readonly shard: number; readonly incarnation: string }[];
  readonly receiptPublicKey: string;
  readonly roster: Roster;
}

/** What the Jobs of an attempt are made from, whichever operator makes them. */
export interface ExporterPods {
  /**
   * The operator's own, not the one that the session was born with: an attempt reads what this operator wrote, and an
   * upgrade may be what mends an export.
   */
  readonly image: string;
  readonly shards: number;
  readonly loaders: number;
  /** Whether loaders write to the export claim; the publisher always does. */
  readonly loadersOnClaim: boolean;
  readonly withRoster: boolean;
  readonly databaseSecret: string | null;
  readonly cpu: string;
  readonly memory: string;
  readonly pod: PodParts;
  readonly claim: { readonly storage: string; readonly storageClass: string | null };
}

/** The ConfigMap's data: the attempt, frozen. */
export function attemptData(input: ExporterInput): { data: Record<string, string>; rosterLeftOut: boolean } {
  const roster = rosterText(input.roster);
  const dataOf = (withRoster: boolean) => ({
    [exporterFiles.attempt]: JSON.stringify(input.attempt),
    [exporterFiles.config]: JSON.stringify(exporterConfig(input, withRoster)),
    [exporterFiles.pods]: JSON.stringify(exporterPods(input, withRoster)),
    ...(withRoster && roster !== null && { [exporterFiles.roster]: roster }),
  });
  const bytes = (data: object) => Object.values(data).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const whole = dataOf(roster !== null);
  if (roster === null || (Buffer.byteLength(roster) <= mostRosterBytes && bytes(whole) <= mostDataBytes)) {
    return { data: whole, rosterLeftOut: false };
  }
  return { data: dataOf(false), rosterLeftOut: true };
}

/** The expected students, as the exporter reads them; null when there is no roster. */
function rosterText(roster: Roster): string | null {
  return roster.size === 0 ? null : JSON.stringify([...roster.keys()]);
}

/** What `exporter/main.ts --config` reads of an attempt on a cluster. */
export function exporterConfig(input: ExporterInput, withRoster: boolean) {
  const { ref, settings, attempt, shards, receiptPublicKey } = input;
  const { session, table, batchRows, witnesses, root } = attempt;
  const { redis, redisPod } = objectNames(ref);
  const domain = `${redis}.${ref.namespace}.svc.${settings.clusterDomain}`;
  return {
    session,
    attempt: attempt.attempt,
    shards: shards.map(({ shard, incarnation }) => ({
      host: `${redisPod(shard)}.${domain}`,
      port: ports.redis,
      username: 'exporter',
      passwordFile: join(paths.keys, 'redis-password'),
      tls: null,
      incarnation,
    })),
    witnesses,
    root,
    sink: sinkOf(input),
    table,
    batchRows,
    report: join(paths.export, 'report.json'),
    receiptPublicKey,
    samples: null,
    roster: withRoster ? join(paths.config, exporterFiles.roster) : null,
    outcomeFile,
    opsPort: ports.ops,
  };
}

/** The claim has the layout of a data folder, so it can be taken away and looked at as one. */
function sinkOf(input: ExporterInput) {
  const { postgres } = input.spec.export;
  if (postgres === undefined) {
    const database = join(paths.export, 'exams.duckdb');
    return { kind: 'duckdb', database, staging: join(paths.export, 'export'), memoryMb: bufferMb(memoryBytes(input)) };
  }
  const { host, port, database, user, schema, tls, credentialsSecret } = postgres;
  const place = { kind: 'postgres', host, port, database, schema };
  if (credentialsSecret === undefined) return { ...place, user, tls: { mode: tls.mode } };
  const files = { userFile: join(databaseSecretPath, 'username'), passwordFile: join(databaseSecretPath, 'password') };
  return { ...place, ...files, tls: { mode: tls.mode, folder: databaseSecretPath } };
}

export function exporterPods(input: ExporterInput, withRoster: boolean): ExporterPods {
  const { spec, settings, shards } = input;
  const { postgres, resources, pod, volume } = spec.export;
  const onClaim = postgres === undefined;
  return {
    image: settings.images.untradex,
    shards: shards.length,
    loaders: onClaim ? duckdbLoaders : Math.min(shards.length, mostLoaders),
    loadersOnClaim: onClaim,
    withRoster,
    databaseSecret: postgres?.credentialsSecret ?? null,
    cpu: resources?.cpu ?? '1',
    memory: resources?.memory ?? quantity(memoryBytes(input)),
    pod: pod ?? {},
    claim: {
      storage: volume?.storage ?? quantity(onClaim ? storageBytes(input) : GiB),
      storageClass: volume?.storageClass ?? settings.storageClass,
    },
  };
}

/** The exporter itself, what the sink buffers, and while verifying a trail for every student on both sides. */
function memoryBytes({ spec }: ExporterInput): number {
  const given = numberOf(spec.export.resources?.memory);
  if (given !== null) return given;
  return roundUp((spec.export.postgres === undefined ? 1.5 : 1) * GiB + spec.students * 1_024, 64 * MiB);
}

/** What DuckDB may use of that, MiB: it spills what does not fit, and Node needs the rest. */
function bufferMb(memory: number): number {
  return Math.max(64, Math.floor((memory - 768 * MiB) / MiB));
}

/** Staged and published, each compressed, and spilled once as it is while it is sorted to be read back. */
function storageBytes({ spec, attempt }: ExporterInput): number {
  const { perStudent, bytes } = spec.answers;
  const events = Math.max(eventsOf(attempt), spec.students * perStudent);
  return roundUp(Math.max(2 * GiB, events * (bytes + 150) * 2.5), GiB);
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
