import { runLoudly } from './loudly.ts';

/**
 * One timer for everybody. Thousands of simulated students in one process would otherwise hold thousands of timers;
 * here each wait is one entry in a bucket, and a single `setTimeout` is armed for the earliest bucket. Without entries
 * there is no timer, so a process whose clients are closed can end.
 */
export interface Timers {
  /** Runs `task` once, `ms` from now or up to one resolution later. The returned function cancels it. */
  after(ms: number, task: () => void): () => void;
}

type Entry = { task: (() => void) | null };

/** @param resolutionMs width of a bucket: entries due within it run together */
export function createTimers(resolutionMs = 25): Timers {
  const buckets = new Map<number, Entry[]>();
  let waiting = 0;
  let handle: ReturnType<typeof setTimeout> | undefined;
  let armedFor = Number.POSITIVE_INFINITY;

  function arm(bucket: number): void {
    clearTimeout(handle);
    armedFor = bucket;
    handle = setTimeout(run, Math.max(0, bucket * resolutionMs - performance.now()));
  }

  function rest(): void {
    clearTimeout(handle);
    handle = undefined;
    armedFor = Number.POSITIVE_INFINITY;
    buckets.clear();
  }

  function run(): void {
    armedFor = Number.POSITIVE_INFINITY;
    const now = performance.now();
    for (const bucket of [...buckets.keys()].filter((key) => key * resolutionMs <= now).sort((a, b) => a - b)) {
      const entries = buckets.get(bucket) ?? [];
      buckets.delete(bucket);
      for (const entry of entries) finish(entry, true);
    }
    if (waiting > 0) arm(Math.min(armedFor, ...buckets.keys()));
  }

  function finish(entry: Entry, due: boolean): void {
    const { task } = entry;
    if (task === null) return;
    entry.task = null;
    waiting--;
    if (due) runLoudly(task);
    if (waiting === 0) rest();
  }

  return {
    after(ms, task) {
      const bucket = Math.ceil((performance.now() + ms) / resolutionMs);
      const entry: Entry = { task };
      const entries = buckets.get(bucket);
      if (entries) entries.push(entry);
      else buckets.set(bucket, [entry]);
      waiting++;
      if (bucket < armedFor) arm(bucket);
      return () => finish(entry, false);
    },
  };
}

let shared: Timers | undefined;

/** The timers that all clients of this process share. */
export function sharedTimers(): Timers {
  shared ??= createTimers();
  return shared;
}
