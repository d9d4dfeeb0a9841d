import type { Problem } from '#queue/problem.ts';

export type Step = 'load' | 'publish' | 'verify';

/** What the exporter says on stdout: JSON lines, progress and at the end one result or problem. */
export interface Lines {
  /** Begins a step of `total` rows; call the returned function with the rows done so far, as often as you like. */
  step(step: Step, total: number, shard?: number): (rows: number) => void;
  result(result: object): void;
  problem(problem: Problem): void;
}

/** At most four lines of progress a second, all steps together. */
const everyMs = 250;

/** @param write takes one line with its line break */
export function createLines(write: (line: string) => void, now: () => number = () => performance.now()): Lines {
  let saidAt = Number.NEGATIVE_INFINITY;
  const say = (line: object) => write(`${JSON.stringify(line)}\n`);
  return {
    step(step, total, shard) {
      const began = now();
      return (rows) => {
        const at = now();
        if (at - saidAt < everyMs) return;
        saidAt = at;
        const rowsPerSecond = rate(rows, at - began);
        say({ kind: 'progress', step, ...(shard === undefined ? {} : { shard }), rows, total, rowsPerSecond });
      };
    },
    result: (result) => say({ kind: 'result', ok: true, ...result }),
    problem: ({ code, message, remedy }) => say({ kind: 'problem', code, message, remedy }),
  };
}

/** Rows a second, a whole number; 0 when no time has passed. */
export function rate(rows: number, ms: number): number {
  return ms > 0 ? Math.round((rows * 1_000) / ms) : 0;
}
