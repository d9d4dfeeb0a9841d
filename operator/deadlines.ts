import { createHash } from 'node:crypto';
import type { ExamSpec } from './examsession.ts';
import type { Roster } from './roster.ts';

/** When the exam ends, and for whom it ends otherwise. Times are ms since 1970. */
export interface Deadlines {
  /** For everybody without a deadline of their own; null: never. */
  readonly closesAt: number | null;
  readonly own: ReadonlyMap<string, number>;
  /** The last of all; null when there is none. */
  readonly last: number | null;
  /** Changes when anything above does. */
  readonly version: string;
}

/** The last answer for each roster: a large one is not sorted and hashed in every pass. */
const known = new WeakMap<Roster, Deadlines & { readonly closesAt: number }>();

/** Deadlines of a session: `closesAt`, and for students with extra minutes so much after it. */
export function deadlinesOf(spec: ExamSpec, roster: Roster): Deadlines {
  if (spec.closesAt === undefined) return { closesAt: null, own: new Map(), last: null, version: 'none' };
  const closesAt = Date.parse(spec.closesAt);
  const before = known.get(roster);
  if (before?.closesAt === closesAt) return before;
  const own = new Map<string, number>();
  let last = closesAt;
  for (const [student, minutes] of roster) {
    if (minutes === 0) continue;
    const deadline = closesAt + minutes * 60_000;
    own.set(student, deadline);
    last = Math.max(last, deadline);
  }
  const deadlines = { closesAt, own, last, version: versionOf(closesAt, own) };
  known.set(roster, deadlines);
  return deadlines;
}

function versionOf(closesAt: number, own: ReadonlyMap<string, number>): string {
  const hash = createHash('sha256').update(String(closesAt));
  for (const student of [...own.keys()].sort()) hash.update(JSON.stringify([student, own.get(student)]));
  return hash.digest('hex').slice(0, 16);
}
