import type { Problem } from '#queue/problem.ts';

/** Who waits for which event to become durable. */
export interface Settling {
  /** Resolves once {@link confirm} reached `seq`, rejects with what {@link refuse} gave. */
  wait(seq: number): Promise<void>;
  confirm(seq: number): void;
  /** Everybody who still waits is told why it will not happen. */
  refuse(why: Problem): void;
}

export function createSettling(): Settling {
  let waiting: { seq: number; resolve(): void; reject(why: Problem): void }[] = [];
  return {
    wait: (seq) => new Promise((resolve, reject) => waiting.push({ seq, resolve, reject })),
    confirm(seq) {
      if (waiting.length === 0) return;
      const settled = waiting.filter((one) => one.seq <= seq);
      if (settled.length === 0) return;
      waiting = waiting.filter((one) => one.seq > seq);
      for (const one of settled) one.resolve();
    },
    refuse(why) {
      const refused = waiting;
      waiting = [];
      for (const one of refused) one.reject(why);
    },
  };
}
