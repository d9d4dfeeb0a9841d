import { setTimeout as sleep } from 'node:timers/promises';
import { isProblem } from '#queue/problem.ts';

/** How long an API server may be away (restarted, upgraded, busy) before somebody who waits for something gives up. */
const patienceMs = 60_000;
const pauseMs = 1_000;

/** True when the same may work a little later. */
export function isTransient(error: unknown): boolean {
  const codes = ['cluster_unreachable', 'api_unreachable', 'api_timeout', 'api_throttled', 'api_failed'];
  return isProblem(error) && codes.includes(error.code);
}

/** Tries again for a minute what fails for the time being. @throws the last error, or that of `signal` */
export async function patiently<T>(signal: AbortSignal, work: () => Promise<T>, withinMs = patienceMs): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isTransient(error) || performance.now() + pauseMs > end) throw error;
    }
    await sleep(pauseMs, undefined, { signal });
  }
}
