import type { Problem } from '#queue/problem.ts';

export type Step = 'load' | 'publish' | 'verify';

/** How far a step is. */
export interface Progress {
  readonly step: Step;
  /** Of a loader only. */
  readonly shard?: number;
  readonly rows: number;
  readonly total: number;
  readonly rowsPerSecond: number;
}

/** What the exporter says on stdout: JSON lines, progress and at the end one result or problem. */
export interface Lines {
  /** Begins a step of `total` rows; call the returned function with the rows done so far, as often as you like. */
  step(step: Step, total: number, shard?: number): (rows: number) => void;
  /** How far the latest step is, also what was not said; null before the first. */
  progress(): Progress | null;
  result(result: object): void;
  problem(problem: Problem): void;
}

export interface LinesOptions {
  readonly now?: () => number;
  /** Takes the last line, the result or problem, before it is said. */
  readonly last?: (line: Readonly<Record<string, unknown>>) => void;
}

/** At most four lines of progress a second, all steps together. */
const everyMs = 250;

/** @param write takes one line with its line break */
export function createLines(write: (line: string) => void, options: LinesOptions = {}): Lines {
  const { now = () => performance.now(), last = () => {} } = options;
  let saidAt = Number.NEGATIVE_INFINITY;
  let latest: Progress | null = null;
  const say = (line: object) => write(`${JSON.stringify(line)}\n`);
  const end = (line: Readonly<Record<string, unknown>>) => {
    last(line);
    say(line);
  };
  return {
    step(step, total, shard) {
      const began = now();
      const about = shard === undefined ? { step } : { step, shard };
      latest = { ...about, rows: 0, total, rowsPerSecond: 0 };
      return (rows) => {
        const at = now();
        latest = { ...about, rows, total, rowsPerSecond: rate(rows, at - began) };
        if (at - saidAt < everyMs) return;
        saidAt = at;
        say({ kind: 'progress', ...latest });
      };
    },
    progress: () => latest,
    result: (result) => end({ kind: 'result', ok: true, ...result }),
    problem: ({ code, message, remedy }) => end({ kind: 'problem', code, message, remedy }),
  };
}

/** Rows a second, a whole number; 0 when no time has passed. */
export function rate(rows: number, ms: number): number {
  return ms > 0 ? Math.round((rows * 1_000) / ms) : 0;
}
