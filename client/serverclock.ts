/** The server's clock, as far as a client can know it. Not moved by changes of the device's own clock. */
export interface ServerClock {
  /** ms since 1970 by the server; by the device before the first answer. */
  now(): number;
  /** The server said `serverTime` in an answer that arrives now to what was asked at `askedAt` (performance.now()). */
  set(serverTime: number, askedAt: number): void;
}

export function createServerClock(): ServerClock {
  let known: { time: number; at: number } | null = null;
  return {
    now: () => (known === null ? Date.now() : known.time + performance.now() - known.at),
    set(serverTime, askedAt) {
      const at = performance.now();
      known = { time: serverTime + (at - askedAt) / 2, at };
    },
  };
}
