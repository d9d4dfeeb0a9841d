import type { Logger } from 'pino';

/** Something that must never happen and that a person must look at. */
export interface Alarm {
  readonly at: number;
  readonly kind: string;
  readonly [field: string]: string | number;
}

export interface Alarms {
  raise(kind: string, fields: Record<string, string | number>): void;
  /** How many since the start. */
  count(): number;
  /** The last ones, oldest first; bounded. */
  recent(): readonly Alarm[];
}

const kept = 20;

/** Alarms go to the log as errors, and stay in /health and in the metrics until the process ends. */
export function createAlarms(log: Logger): Alarms {
  const last: Alarm[] = [];
  let count = 0;
  return {
    raise(kind, fields) {
      count++;
      last.push({ ...fields, kind, at: Date.now() });
      if (last.length > kept) last.shift();
      log.error({ alarm: kind, ...fields }, `alarm: ${kind}`);
    },
    count: () => count,
    recent: () => last,
  };
}
