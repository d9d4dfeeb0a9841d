import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface LoopLag {
  /** 99th percentile of the event loop's delay in the last full second, in ms. */
  p99(): number;
  /** To be called each second: begins the next one. */
  tick(): void;
  stop(): void;
}

const resolutionMs = 10;

/** Measures how late this process gets to its work. */
export function measureLoopLag(): LoopLag {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  let last = 0;
  delay.enable();
  return {
    p99: () => last,
    tick() {
      // The histogram counts the timer's own interval in.
      last = delay.count === 0 ? 0 : Math.max(0, delay.percentile(99) / 1e6 - resolutionMs);
      delay.reset();
    },
    stop: () => delay.disable(),
  };
}
