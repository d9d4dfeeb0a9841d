/** Jumps of the wall clock up to that are corrections of it. */
const toleratedMs = 1_000;

/**
 * Milliseconds that never go back, and that go on while the machine sleeps: the monotonic clock of Linux stands still
 * in a suspended virtual machine, and a leader that wakes up there would still believe in its lease. A wall clock that
 * is set ahead looks the same, and is taken for a sleep.
 */
export function createSteadyClock(monotonic = () => performance.now(), wall = () => Date.now()): () => number {
  let slept = 0;
  let last = { monotonic: monotonic(), wall: wall() };
  return () => {
    const now = { monotonic: monotonic(), wall: wall() };
    const more = now.wall - last.wall - (now.monotonic - last.monotonic);
    if (more > toleratedMs) slept += more;
    last = now;
    return now.monotonic + slept;
  };
}
