import type { AttemptObserved } from './platform.ts';
import type { Settings } from './settings.ts';

/** Which attempt to export should be under way, or when the next one begins (ms since 1970). */
export type NextAttempt = { readonly attempt: number } | { readonly waitUntil: number };

/**
 * An attempt is never repaired: whatever is doubtful ends it, and the next one begins with staging of its own.
 * One that failed is followed after a backoff, for as long as it takes; one that a person must mend, as soon as the
 * session was edited, and slowly otherwise, since what was wrong may not stand in the session.
 */
export function nextAttempt(
  latest: AttemptObserved | null,
  generation: number,
  now: number,
  settings: Settings,
): NextAttempt {
  if (latest === null) return { attempt: 1 };
  const { attempt } = latest.plan;
  if (latest.state === 'running' || latest.state === 'succeeded') return { attempt };
  const edited = latest.state === 'blocked' && generation > latest.plan.generation;
  const waitUntil = edited ? now : retryAt(latest, settings);
  return now >= waitUntil ? { attempt: attempt + 1 } : { waitUntil };
}

/** When an attempt that did not succeed is followed by the next without being asked. */
export function retryAt(latest: AttemptObserved, settings: Settings): number {
  const seconds =
    latest.state === 'blocked'
      ? settings.exportBlockedSeconds
      : Math.min(
          settings.exportBackoffSeconds * 2 ** Math.min(latest.plan.attempt - 1, 20),
          settings.exportBackoffMostSeconds,
        );
  return (latest.endedAt ?? 0) + seconds * 1_000;
}
