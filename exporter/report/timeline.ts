/** When events became durable, by shard. It follows from the log alone. */
export interface Timeline {
  /** Beginning of the first step: ISO 8601, UTC. */
  readonly startedAt: string;
  /** Length of a step: a second times a power of two, the least that keeps the steps few. */
  readonly stepMs: number;
  /** Events of each step, of all shards. */
  readonly events: readonly number[];
  /** The same for each shard. */
  readonly shards: readonly (readonly number[])[];
}

export interface TimelineMaker {
  add(shard: number, durableAt: number, events: number): void;
  /** Null when there were no events. */
  end(): Timeline | null;
}

/** Steps of a timeline; fewer when there are many shards, so that the whole stays below some 30,000 numbers. */
const steps = { most: 240, least: 30, allShards: 8_000 };

/** Memory is bounded whatever the events' times are: steps grow with the time between the first and the last. */
export function createTimeline(shards: number): TimelineMaker {
  const most = Math.max(steps.least, Math.min(steps.most, Math.floor(steps.allShards / shards)));
  let stepMs = 1_000;
  let counts = new Map<number, number[]>();
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

  function countsAt(step: number): number[] {
    const found = counts.get(step);
    if (found) return found;
    const made = new Array<number>(shards).fill(0);
    counts.set(step, made);
    return made;
  }

  function coarsen(): void {
    while (Math.floor(last / stepMs) - Math.floor(first / stepMs) >= most) stepMs *= 2;
    const before = counts;
    counts = new Map();
    for (const [at, numbers] of before) {
      const into = countsAt(Math.floor(at / stepMs) * stepMs);
      for (const [shard, number] of numbers.entries()) into[shard]! += number;
    }
  }

  return {
    add(shard, durableAt, events) {
      first = Math.min(first, durableAt);
      last = Math.max(last, durableAt);
      if (Math.floor(last / stepMs) - Math.floor(first / stepMs) >= most) coarsen();
      countsAt(Math.floor(durableAt / stepMs) * stepMs)[shard]! += events;
    },
    end() {
      if (counts.size === 0) return null;
      const start = Math.floor(first / stepMs);
      const length = Math.floor(last / stepMs) - start + 1;
      const all = Array.from({ length }, (_, step) => counts.get((start + step) * stepMs));
      return {
        startedAt: new Date(start * stepMs).toISOString(),
        stepMs,
        events: all.map((numbers) => numbers?.reduce((sum, number) => sum + number, 0) ?? 0),
        shards: Array.from({ length: shards }, (_, shard) => all.map((numbers) => numbers?.[shard] ?? 0)),
      };
    },
  };
}

/** When a timeline ends, ms since 1970. */
export function endOf({ startedAt, stepMs, events }: Timeline): number {
  return Date.parse(startedAt) + events.length * stepMs;
}
