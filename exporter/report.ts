import { hash } from 'node:crypto';
import { dirname } from 'node:path';
import { receiptKeyId } from '#queue/receipt.ts';
import { type AttemptPlan, eventsOf } from './attempt.ts';
import { makePrivateFolder, replaceFile } from './durablefile.ts';
import { rate } from './lines.ts';
import type { LoadedShard, Published } from './sink.ts';
import type { Verification } from './verify.ts';
import { version } from './version.ts';

/** The report of an export, as JSON. Times are ISO 8601 in UTC, durations ms. A reader must ignore unknown fields. */
export interface Report {
  readonly format: 1;
  readonly session: AttemptPlan['session'];
  /** The sink in words. */
  readonly target: string;
  readonly table: string;
  readonly verified: boolean;
  /** Recomputed from the rows that were read back; null when they are not those of the log. */
  readonly root: string | null;
  readonly sealedRoot: string;
  readonly rows: number;
  readonly students: number;
  readonly writers: number;
  readonly finished: number;
  readonly roster: { readonly students: number; readonly absent: number; readonly first: readonly string[] } | null;
  readonly differences: Verification['differences'];
  readonly moreDifferences: boolean;
  /** By shard: what was sealed, and what this attempt staged; null where it had nothing to stage any more. */
  readonly shards: readonly ReportShard[];
  readonly published: Omit<Published, 'publishedAt'> & { readonly publishedAt: string };
  /** Rows a second of each step; load is that of all loaders together. */
  readonly rowsPerSecond: { readonly load: number; readonly publish: number; readonly verify: number };
  readonly ms: { readonly load: number; readonly publish: number; readonly verify: number };
  /** Of this attempt. */
  readonly attempt: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly receipts: { readonly keyId: string; readonly publicKey: string } | null;
  /** File of rates and latencies, for plots. */
  readonly samples: string | null;
  readonly versions: { readonly untradex: string; readonly node: string; readonly sink: string };
}

export interface ReportShard {
  readonly shard: number;
  readonly events: number;
  readonly lastId: string;
  readonly logDigest: string;
  readonly staged: {
    readonly attempt: number;
    readonly rows: number;
    readonly bytes: number;
    readonly digest: string;
    readonly ms: number;
    readonly rowsPerSecond: number;
  } | null;
}

/** What a report is made from. Times are ms since 1970. */
export interface ReportFacts {
  readonly plan: AttemptPlan;
  readonly target: string;
  readonly loaded: readonly LoadedShard[];
  readonly published: Published;
  readonly verification: Verification;
  readonly publishMs: number;
  readonly verifyMs: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly rosterSize: number | null;
  readonly receiptPublicKey: string | null;
  readonly samples: string | null;
  readonly sinkVersion: string;
}

/** Absent students that are named. */
const mostAbsent = 1_000;

/** Pure: the report of a published and read-back session. */
export function makeReport(facts: ReportFacts): Report {
  const { plan, loaded, published, verification, publishMs, verifyMs, rosterSize, receiptPublicKey: pem } = facts;
  const { absent } = verification;
  const begins = loaded.map(({ startedAt }) => startedAt);
  const loadMs = loaded.length === 0 ? 0 : Math.max(...loaded.map(({ endedAt }) => endedAt)) - Math.min(...begins);
  const loadedRows = loaded.reduce((sum, { rows }) => sum + rows, 0);
  return {
    format: 1,
    session: plan.session,
    target: facts.target,
    table: plan.table,
    verified: verification.verified,
    root: verification.root,
    sealedRoot: plan.root,
    rows: verification.rows,
    students: verification.students,
    writers: verification.writers,
    finished: verification.finished,
    roster:
      absent && rosterSize !== null
        ? { students: rosterSize, absent: absent.length, first: absent.slice(0, mostAbsent) }
        : null,
    differences: verification.differences,
    moreDifferences: verification.more,
    shards: plan.witnesses.map((witness) => shardOf(witness, loaded)),
    published: { ...published, publishedAt: iso(published.publishedAt) },
    rowsPerSecond: {
      load: rate(loadedRows, loadMs),
      publish: published.already ? 0 : rate(published.rows, publishMs),
      verify: rate(eventsOf(plan), verifyMs),
    },
    ms: { load: loadMs, publish: Math.round(publishMs), verify: Math.round(verifyMs) },
    attempt: plan.attempt,
    startedAt: iso(Math.min(facts.startedAt, ...begins)),
    endedAt: iso(facts.endedAt),
    receipts: pem === null ? null : { keyId: receiptKeyId(pem), publicKey: pem },
    samples: facts.samples,
    versions: { untradex: version, node: process.versions.node, sink: facts.sinkVersion },
  };
}

function shardOf(witness: AttemptPlan['witnesses'][number], loaded: readonly LoadedShard[]): ReportShard {
  const { shard, events, lastId, digest: logDigest } = witness;
  const staged = loaded.find((one) => one.shard === shard);
  if (!staged) return { shard, events, lastId, logDigest, staged: null };
  const { attempt, rows, bytes, digest, startedAt, endedAt } = staged;
  const ms = endedAt - startedAt;
  return {
    shard,
    events,
    lastId,
    logDigest,
    staged: { attempt, rows, bytes, digest, ms, rowsPerSecond: rate(rows, ms) },
  };
}

/** Writes the report so that it is there whole or not at all, and gives its SHA-256 (hex), for the session's status. */
export async function writeReport(path: string, report: Report): Promise<string> {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  await makePrivateFolder(dirname(path));
  await replaceFile(path, text);
  return hash('sha256', text, 'hex');
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
