import * as z from 'zod';
import type { Sample } from './platform.ts';

const count = z.number().min(0);

/** The part of a gateway's `/health` that is used, on every platform. */
export const healthSchema = z.object({
  connections: count,
  students: count,
  pendingEvents: count,
  ackMs: z.object({ p50: count, p99: count, max: count, count }),
});

export type Health = z.output<typeof healthSchema>;

/** Sums; for the latencies the mean of the medians, weighted, and the worst of the others. */
export function addUp(healths: readonly Health[]): Sample {
  const sum = (of: (health: Health) => number) => healths.reduce((total, health) => total + of(health), 0);
  const most = (of: (health: Health) => number) => healths.reduce((worst, health) => Math.max(worst, of(health)), 0);
  const count = sum(({ ackMs }) => ackMs.count);
  const p50 = count === 0 ? 0 : sum(({ ackMs }) => ackMs.p50 * ackMs.count) / count;
  return {
    connections: sum((health) => health.connections),
    students: sum((health) => health.students),
    pendingEvents: sum((health) => health.pendingEvents),
    ackMs: {
      p50: Math.round(p50 * 100) / 100,
      p99: most(({ ackMs }) => ackMs.p99),
      max: most(({ ackMs }) => ackMs.max),
      count,
    },
  };
}
