/** Why the work has to end. `stopped`: we were asked to; the lease is still held until the work has ended. */
export type StopReason = 'lost' | 'stopped';

export interface TermOptions {
  /** Leads from now on. What it throws is reported, and the lease is given up. */
  readonly onStarted: () => void;
  /** Leads no more. It is a candidate again, or has stopped, once the promise is settled. */
  readonly onStopped: (reason: StopReason) => Promise<void> | void;
  /** Told of everything that went wrong. Nothing needs to be done: it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** Whether this candidate leads, and the work that it does meanwhile. */
export interface Term {
  /** It took the lease and did not lose it yet; whether it still has it, `isSure` tells. */
  readonly holds: boolean;
  /** By the clock, at this moment. */
  readonly isSure: boolean;
  /** The lease is surely ours until then; the first time, the work begins. */
  hold(until: number): void;
  /** The lease is not ours any more: ends the work. */
  lose(): void;
  /** Ends the work, while the lease is still held. Nothing begins after it, until `reopen`. */
  resign(): Promise<void>;
  /** Settled when no work is under way that was told to end. */
  ended(): Promise<void>;
  /** No write after this; `resign` comes before. */
  close(): void;
  reopen(): void;
}

/**
 *     standby ──hold──▶ leading ──hold──▶ leading
 *        ▲                 ├──lose, or not held again in time──▶ losing ──work has ended──▶ standby
 *        │                 └──resign──▶ resigning (held on until the work has ended) ──close──▶ closed
 *        └──────────────────────────────────────reopen──────────────────────────────────────────┘
 */
export function createTerm({ onStarted, onStopped, onError }: TermOptions, clock: () => number): Term {
  let phase: 'standby' | 'leading' | 'resigning' | 'losing' | 'closed' = 'standby';
  let until = -Infinity;
  let deadline: NodeJS.Timeout | undefined;
  let workEnded: Promise<void> = Promise.resolve();

  const holds = () => phase === 'leading' || phase === 'resigning';

  function begin(): void {
    phase = 'leading';
    try {
      onStarted();
    } catch (error) {
      onError(error);
      lose();
    }
  }

  function lose(): void {
    if (!holds()) return;
    release();
    if (phase === 'leading') workEnded = endWork('lost');
    phase = 'losing';
    workEnded = workEnded.then(() => {
      if (phase === 'losing') phase = 'standby';
    });
  }

  function release(): void {
    clearTimeout(deadline);
    until = -Infinity;
  }

  function closeStandby(): void {
    if (phase === 'standby') phase = 'closed';
  }

  async function endWork(reason: StopReason): Promise<void> {
    try {
      await onStopped(reason);
    } catch (error) {
      onError(error);
    }
  }

  return {
    get holds() {
      return holds();
    },
    get isSure() {
      return holds() && clock() < until;
    },
    hold(newUntil) {
      const leftMs = newUntil - clock();
      if (leftMs <= 0 || phase === 'losing' || phase === 'closed') return;
      until = newUntil;
      clearTimeout(deadline);
      deadline = setTimeout(lose, leftMs);
      if (phase === 'standby') begin();
    },
    lose,
    async resign() {
      closeStandby();
      if (phase === 'leading') {
        phase = 'resigning';
        workEnded = endWork('stopped');
      }
      await workEnded;
      closeStandby();
    },
    ended: () => workEnded,
    close() {
      release();
      phase = 'closed';
    },
    reopen() {
      if (phase === 'closed') phase = 'standby';
    },
  };
}
