import type { Kill } from './chaos.ts';
import type { Comparison } from './compare.ts';
import { count, line, paint, section, time } from './output.ts';
import type { Played } from './students.ts';

/** The result of a demo, as `--json` writes it. */
export interface DemoResult {
  readonly students: number;
  /** Most students connected at one moment. */
  readonly connectedPeak: number;
  /** Events that the students' side saw acknowledged. */
  readonly acknowledged: number;
  /** Rows in the table; may exceed `acknowledged` where a reply was lost at a kill. */
  readonly exported: number;
  readonly missing: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
  /** Rows with other bytes than were acknowledged. */
  readonly wrongBytes: number;
  /** The session's own proof: read back, chains and root recomputed. */
  readonly verified: boolean;
  readonly kills: number;
  readonly killed: readonly Kill[];
  /** Students who hold a receipt. */
  readonly finished: number;
  readonly ackMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Acknowledged events a second, while students answered. */
  readonly eventsPerSecond: number;
  readonly exportRowsPerSecond: number;
  /** From the start of the command to the proof. */
  readonly seconds: number;
  readonly seed: number;
  readonly root: string | null;
  readonly database: string;
  readonly report: string | null;
  readonly ledger: string;
  readonly troubles: readonly string[];
}

/** What the result is made of: these of its fields as they are, and what the others follow from. */
export interface DemoFacts
  extends Pick<
    DemoResult,
    'killed' | 'verified' | 'exportRowsPerSecond' | 'seconds' | 'seed' | 'root' | 'database' | 'report' | 'ledger'
  > {
  readonly played: Played;
  readonly found: Comparison;
}

export function makeDemoResult({ played, killed, found, ...rest }: DemoFacts): DemoResult {
  return {
    students: played.students,
    connectedPeak: played.connectedPeak,
    acknowledged: played.acknowledged,
    exported: found.exported,
    missing: found.missing,
    duplicated: found.duplicated + found.repeatedPayloads,
    outOfOrder: found.outOfOrder,
    wrongBytes: found.wrongBytes,
    kills: killed.length,
    killed,
    finished: played.finished,
    ackMs: played.ackMs,
    eventsPerSecond: Math.round(played.eventsPerSecond),
    troubles: [...played.troubles, ...found.examples],
    ...rest,
    exportRowsPerSecond: Math.round(rest.exportRowsPerSecond),
    seconds: Math.round(rest.seconds * 10) / 10,
  };
}

/** True when the promise was kept, and shown to be: what exit code 0 stands for. */
export function isProven(result: DemoResult): boolean {
  const { missing, duplicated, outOfOrder, wrongBytes, verified, acknowledged, finished, students } = result;
  return verified && missing + duplicated + outOfOrder + wrongBytes === 0 && acknowledged > 0 && finished === students;
}

/** Prints the result for people. */
export function showDemo(result: DemoResult): void {
  const { ackMs } = result;
  line();
  section('What happened', [
    [
      'students',
      `${count(result.students)}, ${count(result.connectedPeak)} connected at once, ${count(result.finished)} hold a receipt`,
    ],
    ['acknowledged', `${count(result.acknowledged)} answers, ${count(result.eventsPerSecond)} a second`],
    ['waited', `half at most ${time(ackMs.p50)}, 99 of 100 at most ${time(ackMs.p99)}, the longest ${time(ackMs.max)}`],
    ['killed', result.killed.map(({ target, atMs }) => `${target} after ${time(atMs)}`).join(', ') || 'nothing'],
    ['exported', `${count(result.exported)} rows, ${count(result.exportRowsPerSecond)} a second${surplus(result)}`],
  ]);
  line();
  section('What the students saw acknowledged, looked up in the database', [
    ['missing', zero(result.missing)],
    ['twice', zero(result.duplicated)],
    ['out of order', zero(result.outOfOrder)],
    ['changed', zero(result.wrongBytes)],
  ]);
  for (const text of result.troubles) line(paint('yellow', `  ${text}`));
  line();
  line(verdict(result));
  line();
  section('Look for yourself', [
    ['database', result.database],
    ['report', result.report ?? 'none'],
    ['ledger', result.ledger],
    ['seed', String(result.seed)],
    ['took', time(result.seconds * 1000)],
  ]);
}

function verdict(result: DemoResult): string {
  if (isProven(result)) return `${paint('green', 'VERIFIED')}  missing 0, twice 0, out of order 0; root ${result.root}`;
  if (!result.verified) return `${paint('red', 'NOT VERIFIED')}  the session's own proof did not succeed`;
  if (result.finished < result.students) {
    return `${paint('red', 'INCOMPLETE')}  ${count(result.students - result.finished)} students got no receipt in time`;
  }
  return `${paint('red', 'BROKEN PROMISE')}  the lines above say what is wrong`;
}

function surplus({ exported, acknowledged }: DemoResult): string {
  const more = exported - acknowledged;
  return more > 0 ? ` (${count(more)} of them stored, but their acknowledgement was lost in a kill)` : '';
}

function zero(value: number): string {
  return paint(value === 0 ? 'green' : 'red', count(value));
}
