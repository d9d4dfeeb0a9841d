/** A source of numbers in [0, 1), the same ones for the same seed. */
export type Random = () => number;

/** Mulberry32 (Tommy Ettinger, public domain): small, fast and good enough to schedule with; not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `min` up to and including `max`. */
export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** A waiting time of the given mean with an exponential spread, cut at four times the mean: how people's pauses look. */
export function pause(random: Random, mean: number): number {
  return Math.min(-Math.log(1 - random()) * mean, mean * 4);
}
