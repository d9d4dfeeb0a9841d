/** Rows that were done after so many ms. */
export type PacePoint = readonly [ms: number, rows: number];

/** How a step got on: some points of it, however long it takes. */
export interface Pace {
  /** Time counts from here. */
  begin(): void;
  rows(rows: number): void;
  points(): readonly PacePoint[];
}

/** Least time between two points; it doubles whenever there are too many. */
const firstEveryMs = 100;

/** Points that are kept of one step, at most. */
export const mostPacePoints = 60;

export function createPace(now: () => number = () => performance.now()): Pace {
  let began = now();
  let points: PacePoint[] = [];
  let everyMs = firstEveryMs;
  let latest: PacePoint = [0, 0];
  return {
    begin() {
      began = now();
    },
    rows(rows) {
      latest = [Math.round(now() - began), rows];
      if (latest[0] < (points.at(-1)?.[0] ?? 0) + everyMs) return;
      points.push(latest);
      // One is left for the end.
      if (points.length < mostPacePoints - 1) return;
      points = points.filter((_, index) => index % 2 === 1);
      everyMs *= 2;
    },
    points: () => (latest[1] === (points.at(-1)?.[1] ?? 0) ? points : [...points, latest]),
  };
}

/** Pure: at most `most` of the points, the last among them. */
export function thinPace(points: readonly PacePoint[], most: number): readonly PacePoint[] {
  if (points.length <= most) return points;
  const step = points.length / most;
  return Array.from({ length: most }, (_, i) => points[Math.ceil((i + 1) * step) - 1]!);
}
