import { hash } from 'node:crypto';
import { dirname } from 'node:path';
import { receiptKeyId } from '#queue/receipt.ts';
import { type AttemptPlan, eventsOf } from './attempt.ts';
import { makePrivateFolder, replaceFile } from './durablefile.ts';
import { rate } from './lines.ts';
import { attemptsOf, type ReportAttempt } from './report/attempts.ts';
import { countDifferences, type DifferenceCounts } from './report/counts.ts';
import type { DiaryEntry } from './report/diary.ts';
import { notesOf, type ReportNote } from './report/notes.ts';
import { type PacePoint, thinPace } from './report/pace.ts';
import type { SampleCurves } from './report/samplecurves.ts';
import type { Timeline } from './report/timeline.ts';
import { addRetries, type Retry } from './retries.ts';
import type { LoadedShard, Published } from './sink.ts';
import type { Verification } from './verify.ts';
import { version } from './version.ts';

/**
 * The report of an export, as JSON; docs/report.md says what each field means. Times are ISO 8601 in UTC, durations ms.
 * A reader must ignore unknown fields. Another `format` means that fields have changed or gone.
 */
export interface Report {
  readonly format: typeof reportFormat;
  readonly session: AttemptPlan['session'];
  /** The sink in words. */
  readonly target: string;
  readonly table: string;
  readonly verified: boolean;
  /** Recomputed from the rows that were read back; null when they are not those of the log. */
  readonly root: string | null;
  readonly sealedRoot: string;
  readonly counts: { readonly sealed: number; readonly exported: number } & DifferenceCounts;
  readonly rows: number;
  readonly students: number;
  readonly writers: number;
  readonly finished: number;
  /** Null when no roster was given. */
  readonly roster: ReportRoster | null;
  readonly differences: Verification['differences'];
  readonly moreDifferences: boolean;
  /** What somebody should know or do. */
  readonly notes: readonly ReportNote[];
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
  /** The latest attempts, this one the last, as far as they could note it. */
  readonly attempts: readonly ReportAttempt[];
  /** What this attempt tried again, by step and the target's code. */
  readonly retries: readonly Retry[];
  /** When the events became durable; null when there were none. */
  readonly timeline: Timeline | null;
  /** What was seen of the gateways meanwhile; null where nobody kept samples. */
  readonly samples: SampleCurves | null;
  readonly receipts: { readonly algorithm: 'Ed25519'; readonly keyId: string; readonly publicKey: string } | null;
  readonly versions: { readonly untradex: string; readonly node: string; readonly sink: string };
}

export const reportFormat = 2;

/** Students of the roster without an answer, and students with one who are not in it. */
export interface ReportRoster {
  readonly students: number;
  readonly absent: number;
  /** Null when they are more than {@link mostNamedStudents}: the file has them. */
  readonly absentIds: readonly string[] | null;
  /** The list of the absent, beside the report. */
  readonly file: string;
  readonly fileSha256: string;
  readonly unknown: number;
  readonly unknownIds: readonly string[] | null;
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
    readonly startedAt: string;
    readonly endedAt: string;
    readonly ms: number;
    readonly rowsPerSecond: number;
    /** Rows after so many ms of loading; null when the loader could not note it where the publisher looks. */
    readonly pace: readonly PacePoint[] | null;
    readonly loadedBy?: 'DirectPath' | 'Conventional';
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
  readonly roster: { readonly students: number; readonly file: string; readonly fileSha256: string } | null;
  readonly receiptPublicKey: string | null;
  readonly timeline: Timeline | null;
  readonly samples: SampleCurves | null;
  readonly diaries: readonly DiaryEntry[];
  /** Of the publisher; those of loaders are in their diaries. */
  readonly retries: readonly Retry[];
  readonly sinkVersion: string;
}

/** Absent and unknown students that are named. */
export const mostNamedStudents = 1_000;

/** Points of all shards' paces. */
const mostPace = { allShards: 4_000, least: 2 };

/** Pure: the report of a published and read-back session. */
export function makeReport(facts: ReportFacts): Report {
  const { plan, loaded, published, verification, publishMs, verifyMs, receiptPublicKey: pem } = facts;
  const begins = loaded.map(({ startedAt }) => startedAt);
  const loadMs = loaded.length === 0 ? 0 : Math.max(...loaded.map(({ endedAt }) => endedAt)) - Math.min(...begins);
  const loadedRows = loaded.reduce((sum, { rows }) => sum + rows, 0);
  const startedAt = Math.min(facts.startedAt, ...begins);
  const own = facts.diaries.filter(({ attempt, shard }) => attempt === plan.attempt && shard !== null);
  return {
    format: reportFormat,
    session: plan.session,
    target: facts.target,
    table: plan.table,
    verified: verification.verified,
    root: verification.root,
    sealedRoot: plan.root,
    counts: { sealed: eventsOf(plan), exported: verification.rows, ...countDifferences(verification) },
    rows: verification.rows,
    students: verification.students,
    writers: verification.writers,
    finished: verification.finished,
    roster: rosterOf(facts),
    differences: verification.differences,
    moreDifferences: verification.more,
    notes: notesOf(facts),
    shards: plan.witnesses.map((witness) => shardOf(witness, facts)),
    published: { ...published, publishedAt: iso(published.publishedAt) },
    rowsPerSecond: {
      load: rate(loadedRows, loadMs),
      publish: published.already ? 0 : rate(published.rows, publishMs),
      verify: rate(eventsOf(plan), verifyMs),
    },
    ms: { load: loadMs, publish: Math.round(publishMs), verify: Math.round(verifyMs) },
    attempt: plan.attempt,
    startedAt: iso(startedAt),
    endedAt: iso(facts.endedAt),
    attempts: attemptsOf(facts, startedAt),
    retries: addRetries([...own.flatMap(({ retries }) => retries), ...facts.retries]),
    timeline: facts.timeline,
    samples: facts.samples,
    receipts: pem === null ? null : { algorithm: 'Ed25519', keyId: receiptKeyId(pem), publicKey: pem },
    versions: { untradex: version, node: process.versions.node, sink: facts.sinkVersion },
  };
}

function rosterOf({ roster, verification: { absent, unknown } }: ReportFacts): ReportRoster | null {
  if (roster === null || absent === null || unknown === null) return null;
  const named = (ids: readonly string[]) => (ids.length > mostNamedStudents ? null : ids);
  return {
    students: roster.students,
    absent: absent.length,
    absentIds: named(absent),
    file: roster.file,
    fileSha256: roster.fileSha256,
    unknown: unknown.length,
    unknownIds: named(unknown),
  };
}

function shardOf(witness: AttemptPlan['witnesses'][number], { plan, loaded, diaries }: ReportFacts): ReportShard {
  const { shard, events, lastId, digest: logDigest } = witness;
  const staged = loaded.find((one) => one.shard === shard);
  if (!staged) return { shard, events, lastId, logDigest, staged: null };
  const { attempt, rows, bytes, digest, startedAt, endedAt, loadedBy } = staged;
  const ms = endedAt - startedAt;
  const diary = diaries.find((one) => one.attempt === attempt && one.shard === shard);
  const most = Math.max(mostPace.least, Math.floor(mostPace.allShards / plan.witnesses.length));
  return {
    shard,
    events,
    lastId,
    logDigest,
    staged: {
      ...{ attempt, rows, bytes, digest, startedAt: iso(startedAt), endedAt: iso(endedAt) },
      ...{ ms, rowsPerSecond: rate(rows, ms) },
      pace: diary ? thinPace(diary.pace, most) : null,
      ...(loadedBy === undefined ? {} : { loadedBy }),
    },
  };
}

/** The report as it is written; its SHA-256 is that of this text. */
export function reportText(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** Writes the report so that it is there whole or not at all, and gives its SHA-256 (hex), for the session's status. */
export async function writeReport(path: string, report: Report): Promise<string> {
  const text = reportText(report);
  await makePrivateFolder(dirname(path));
  await replaceFile(path, text);
  return hash('sha256', text, 'hex');
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
