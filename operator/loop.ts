/** What a pass over one key leads to. */
export interface PassResult {
  /** The next pass comes at the latest after this; null when only `enqueue` brings one. */
  readonly requeueAfterMs: number | null;
}

export interface LoopOptions {
  /** One pass. It gets a key, never an event: it looks at what is. */
  readonly pass: (key: string) => Promise<PassResult>;
  /** Told of each pass that threw, and how long until the key gets another. */
  readonly onError: (key: string, error: unknown, retryMs: number) => void;
  /** Passes at the same time, over different keys. */
  readonly workers?: number;
  /** Wait after the first error of a key; doubled by each further one, up to `backoffMostMs`. */
  readonly backoffMs?: number;
  readonly backoffMostMs?: number;
}

export interface Loop {
  /** Keys that wait for a worker, and keys whose pass runs. Those that wait for their timer count as neither. */
  readonly depth: number;
  readonly running: number;
  /** Asks for a pass soon. Asked again before it began: one pass; while it runs: one more after it. */
  enqueue(key: string): void;
  /** No more passes; resolves when those that run have ended. */
  stop(): Promise<void>;
}

interface Entry {
  state: 'idle' | 'queued' | 'running';
  /** Enqueued while running. */
  again: boolean;
  errors: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Runs passes, one at a time for a key:
 *
 *     idle ──enqueue or timer──▶ queued ──a worker is free──▶ running ──▶ idle (timer set), or queued again
 *
 * Backoff follows errors only. An ordinary change is never slowed down: `enqueue` during a backoff runs at once.
 */
export function createLoop(options: LoopOptions): Loop {
  const { pass, onError, workers = 4, backoffMs = 100, backoffMostMs = 30_000 } = options;
  const entries = new Map<string, Entry>();
  const queue: string[] = [];
  const running = new Set<Promise<void>>();
  let stopped = false;

  function enqueue(key: string): void {
    if (stopped) return;
    const entry = entries.get(key) ?? { state: 'idle', again: false, errors: 0, timer: undefined };
    entries.set(key, entry);
    if (entry.state === 'running') entry.again = true;
    if (entry.state !== 'idle') return;
    clearTimeout(entry.timer);
    entry.state = 'queued';
    queue.push(key);
    startNext();
  }

  function startNext(): void {
    while (!stopped && running.size < workers && queue.length > 0) {
      const key = queue.shift()!;
      const run: Promise<void> = runPass(key, entries.get(key)!).finally(() => {
        running.delete(run);
        startNext();
      });
      running.add(run);
    }
  }

  async function runPass(key: string, entry: Entry): Promise<void> {
    entry.state = 'running';
    entry.again = false;
    let next: number | null;
    try {
      next = (await pass(key)).requeueAfterMs;
      entry.errors = 0;
    } catch (error) {
      next = Math.min(backoffMs * 2 ** Math.min(entry.errors, 20), backoffMostMs);
      entry.errors += 1;
      onError(key, error, next);
    }
    entry.state = 'idle';
    if (stopped) return;
    if (entry.again) enqueue(key);
    else if (next !== null) entry.timer = setTimeout(() => enqueue(key), next);
    else entries.delete(key);
  }

  return {
    get depth() {
      return queue.length;
    },
    get running() {
      return running.size;
    },
    enqueue,
    async stop() {
      stopped = true;
      for (const { timer } of entries.values()) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
