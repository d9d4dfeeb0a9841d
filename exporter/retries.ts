/** Something that was tried again, and how often. */
export interface Retry {
  /** What was done: a few words of the sink. */
  readonly step: string;
  /** The target's own code where it gave one (an SQLSTATE, ORA-nnnnn, ECONNREFUSED), else a word. */
  readonly code: string;
  readonly count: number;
}

/** Counts what a process tries again, for the report. */
export interface RetryLog {
  /** @param times 1 when left out */
  note(step: string, code: string, times?: number): void;
  /** By step and code, in that order. */
  all(): readonly Retry[];
}

/** Different steps and codes that are told apart; what comes beyond them is counted as `other`. */
const mostKinds = 64;

export function createRetryLog(): RetryLog {
  const counts = new Map<string, Retry>();
  return {
    note(step, code, times = 1) {
      const key = JSON.stringify([step, code]);
      const known = counts.get(key);
      if (known === undefined && counts.size >= mostKinds) {
        const other = counts.get('other')?.count ?? 0;
        counts.set('other', { step: 'other', code: 'other', count: other + times });
        return;
      }
      counts.set(key, { step, code, count: (known?.count ?? 0) + times });
    },
    all: () => addRetries([...counts.values()]),
  };
}

/** Pure: equal steps and codes added up, in order. */
export function addRetries(retries: readonly Retry[]): Retry[] {
  const sums = Map.groupBy(retries, ({ step, code }) => JSON.stringify([step, code]));
  const added = [...sums.values()].map((same) => ({
    step: same[0]!.step,
    code: same[0]!.code,
    count: same.reduce((sum, { count }) => sum + count, 0),
  }));
  return added.sort((a, b) => compare(a.step, b.step) || compare(a.code, b.code));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
