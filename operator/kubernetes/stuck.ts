import type { Phase, SessionStatus } from '../status.ts';

/** How long passes may fail. */
const passMs = 300_000;
/** How long a phase may last before somebody should look: it waits for something that does not come. */
const phaseMs = {
  Pending: Number.POSITIVE_INFINITY,
  Provisioning: 600_000,
  Active: Number.POSITIVE_INFINITY,
  Draining: 600_000,
  Exporting: 6 * 3_600_000,
  Completed: Number.POSITIVE_INFINITY,
  Failed: 60_000,
} as const satisfies Record<Phase, number>;
/** A deletion drains the gateways, stops Redis, and is over. */
const deletionMs = 600_000;

/** Remembers since when each session is as it is. Times are ms that never go back. */
export interface StuckWatch {
  /** A pass succeeded, or the session was seen for the first time. */
  passed(key: string, status: SessionStatus | null): void;
  failed(key: string): void;
  deleting(key: string): void;
  forget(key: string): void;
  /** How many sessions have not got where they should be. */
  count(): number;
  phases(): Readonly<Record<string, number>>;
}

interface Known {
  phase: Phase | 'Deleting' | 'Unknown';
  phaseSince: number;
  /** When drain ends, by the wall clock: until then nobody waits in vain. */
  drainUntil: number | null;
  passedAt: number;
}

export function createStuckWatch(clock = () => performance.now(), wall = Date.now): StuckWatch {
  const sessions = new Map<string, Known>();

  function knownOf(key: string): Known {
    const now = clock();
    const known = sessions.get(key) ?? { phase: 'Unknown', phaseSince: now, drainUntil: null, passedAt: now };
    sessions.set(key, known);
    return known;
  }

  function enter(known: Known, phase: Known['phase']): void {
    if (known.phase === phase) return;
    known.phase = phase;
    known.phaseSince = clock();
  }

  function isStuck({ phase, phaseSince, drainUntil, passedAt }: Known): boolean {
    if (clock() - passedAt > passMs) return true;
    const mostMs = phase === 'Unknown' ? passMs : phase === 'Deleting' ? deletionMs : phaseMs[phase];
    const waits = clock() - phaseSince;
    // A long grace is the session's own wish.
    const grace = phase === 'Draining' && drainUntil !== null ? Math.max(0, drainUntil - wall()) : 0;
    return grace === 0 && waits > mostMs;
  }

  return {
    passed(key, status) {
      const known = knownOf(key);
      known.passedAt = clock();
      known.drainUntil = status?.drainUntil ?? null;
      if (status !== null) enter(known, status.phase);
    },
    failed: (key) => void knownOf(key),
    deleting: (key) => enter(knownOf(key), 'Deleting'),
    forget: (key) => void sessions.delete(key),
    count: () => [...sessions.values()].filter(isStuck).length,
    phases() {
      const phases: Record<string, number> = {};
      for (const { phase } of sessions.values()) phases[phase] = (phases[phase] ?? 0) + 1;
      return phases;
    },
  };
}
