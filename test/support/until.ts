import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** What is waited for; the message of the error when it does not come. */
  readonly what: string;
  /** 5,000 when left out. */
  readonly timeoutMs?: number;
  /** Longest pause between two looks; 25 when left out. The first pauses are shorter. */
  readonly everyMs?: number;
}

/**
 * Waits until `condition` gives something truthy, and returns it. A condition that throws counts as not yet: its last
 * error becomes the cause when time is up.
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions): Promise<NonNullable<T>> {
  const { what, timeoutMs = 5_000, everyMs = 25 } = options;
  const end = performance.now() + timeoutMs;
  let cause: unknown;
  for (let pause = 1; ; pause = Math.min(pause * 2, everyMs)) {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause });
    await sleep(pause);
  }
}
