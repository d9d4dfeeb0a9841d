import type { ReportFacts } from '../report.ts';
import { addRetries, type Retry } from '../retries.ts';
import type { DiaryEntry } from './diary.ts';

/** One attempt to export, as its programs noted it. */
export interface ReportAttempt {
  readonly attempt: number;
  readonly startedAt: string;
  /** Of the program that ended last; null when none did. */
  readonly endedAt: string | null;
  /** Shards that were loaded to the end, and the rows of all loaders, also of those that did not end. */
  readonly shardsLoaded: number;
  readonly rowsLoaded: number;
  /** Programs that did not end well; code null: killed, or cut off. At most {@link mostFailures}. */
  readonly failures: readonly { readonly shard: number | null; readonly code: string | null }[];
  readonly retries: readonly Retry[];
}

export const mostFailures = 20;

/** Pure: attempts, oldest first; this one is there in any case. */
export function attemptsOf(facts: ReportFacts, startedAt: number): ReportAttempt[] {
  const { plan, loaded, diaries } = facts;
  const earlier = diaries.filter(({ attempt }) => attempt < plan.attempt);
  const found = [...Map.groupBy(earlier, ({ attempt }) => attempt)].sort(([a], [b]) => a - b);
  return [
    ...found.map(([attempt, entries]) => earlierAttempt(attempt, entries)),
    {
      attempt: plan.attempt,
      startedAt: iso(startedAt),
      endedAt: iso(facts.endedAt),
      shardsLoaded: loaded.length,
      rowsLoaded: loaded.reduce((sum, { rows }) => sum + rows, 0),
      failures: [],
      retries: addRetries([...loadersOf(diaries, plan.attempt).flatMap(({ retries }) => retries), ...facts.retries]),
    },
  ];
}

function earlierAttempt(attempt: number, entries: readonly DiaryEntry[]): ReportAttempt {
  const ends = entries.flatMap(({ endedAt }) => endedAt ?? []);
  const loaders = loadersOf(entries, attempt);
  const failed = entries.filter(({ endedAt, code }) => endedAt === null || code !== null);
  return {
    attempt,
    startedAt: iso(Math.min(...entries.map((entry) => entry.startedAt))),
    endedAt: ends.length === 0 ? null : iso(Math.max(...ends)),
    shardsLoaded: loaders.filter((entry) => !failed.includes(entry)).length,
    rowsLoaded: loaders.reduce((sum, { rows }) => sum + rows, 0),
    failures: failed.slice(0, mostFailures).map(({ shard, code }) => ({ shard, code })),
    retries: addRetries(entries.flatMap(({ retries }) => retries)),
  };
}

function loadersOf(entries: readonly DiaryEntry[], attempt: number): DiaryEntry[] {
  return entries.filter((entry) => entry.attempt === attempt && entry.shard !== null);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
