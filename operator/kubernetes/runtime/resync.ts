/** Steps of a round: how finely it is spread out. */
const steps = 200;

/**
 * Visits each of some things about once every `roundMs`, spread out over that time, so that they do not all come at
 * once. Returns what ends it.
 */
export function startResync<T>(roundMs: number, all: () => readonly T[], visit: (thing: T) => void): () => void {
  let rest: T[] = [];
  let inRound = 0;
  /** How many were to be visited by now; a fraction of one is kept for later. */
  let due = 0;
  const timer = setInterval(() => {
    if (rest.length === 0) {
      rest = [...all()];
      inRound = rest.length;
      due = 0;
    }
    for (due += inRound / steps; due >= 1 && rest.length > 0; due -= 1) visit(rest.pop()!);
  }, roundMs / steps);
  return () => clearInterval(timer);
}
