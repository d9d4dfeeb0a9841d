import { setTimeout as sleep } from 'node:timers/promises';
import { backoff } from '#queue/backoff.ts';
import { isProblem } from '#queue/problem.ts';
import type { Api } from './api.ts';
import { createEventSeriesBook, type EventNote, type EventSeries, eventOf, repeatOf } from './eventseries.ts';

export type { EventNote } from './eventseries.ts';

export interface EventRecorderOptions {
  readonly api: Pick<Api, 'create' | 'patch'>;
  /** `untradex.io/operator` */
  readonly component: string;
  /** The pod. */
  readonly instance: string;
  /** Told of each event that could not be written. */
  readonly onError: (error: unknown) => void;
  /** A series is written again no sooner than that; 30,000 when left out. */
  readonly repeatMs?: number;
}

export interface EventRecorder {
  /**
   * Notes an event, to be written soon; the same about the same object within 10 min is one event that counts. Never
   * throws and never waits.
   */
  record(note: EventNote): void;
  /** Events that nobody will see: there were too many, or they could not be written. */
  readonly dropped: number;
  /** Writes what waits, for 3 s at most, and takes no more. */
  stop(): Promise<void>;
}

const mostTries = 3;
const retry = { first: 1_000, most: 10_000 };
const stopMs = 3_000;
/** Between two writes, so that a bad day does not take the API from the passes. */
const pauseMs = 20;
/** No further try helps: this process does not lead any more, the namespace goes away, or the event is not wanted. */
const hopeless = new Set(['not_leader', 'api_terminating', 'api_forbidden', 'api_invalid']);

/** Writes events of events.k8s.io/v1, one after the other, aside from whoever records them. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { onError, repeatMs = 30_000 } = options;
  const book = createEventSeriesBook();
  /** At most as many as the book knows. */
  const waiting = new Set<EventSeries>();
  let dropped = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let pumping: Promise<void> | null = null;

  function schedule(): void {
    clearTimeout(timer);
    const next = earliest(waiting);
    if (pumping === null && next !== null) timer = setTimeout(pump, Math.max(0, next.notBefore - performance.now()));
  }

  function pump(): void {
    pumping = writeAllDue().finally(() => {
      pumping = null;
      if (!stopped) schedule();
    });
  }

  async function writeAllDue(): Promise<void> {
    for (;;) {
      const next = earliest(waiting);
      if (next === null || next.notBefore > performance.now()) return;
      await attempt(next);
      await sleep(pauseMs);
    }
  }

  async function attempt(series: EventSeries): Promise<void> {
    const { count } = series;
    try {
      await write(series, options);
      Object.assign(series, { written: count, failures: 0, notBefore: performance.now() + repeatMs });
      if (series.count === count) waiting.delete(series);
    } catch (error) {
      series.failures += 1;
      series.notBefore = performance.now() + backoff(series.failures, retry);
      if (series.failures < mostTries && !(isProblem(error) && hopeless.has(error.code))) return;
      dropped += series.count - series.written;
      waiting.delete(series);
      book.forget(series);
      onError(error);
    }
  }

  return {
    get dropped() {
      return dropped;
    },
    record(note) {
      const series = stopped ? null : book.count(note, Date.now());
      if (series === null) {
        dropped += 1;
        return;
      }
      waiting.add(series);
      schedule();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      for (const series of waiting) series.notBefore = 0;
      const limit = new AbortController();
      const time = sleep(stopMs, undefined, { signal: limit.signal }).catch(() => {});
      await Promise.race([time, Promise.resolve(pumping).then(writeAllDue)]);
      limit.abort();
      for (const { count, written } of waiting) dropped += count - written;
      waiting.clear();
    },
  };
}

async function write(series: EventSeries, options: EventRecorderOptions): Promise<void> {
  const { api } = options;
  const ref = { apiVersion: 'events.k8s.io/v1', kind: 'Event', namespace: series.namespace, name: series.name };
  const isNew = series.written === 0;
  try {
    if (isNew) await api.create(eventOf(series, options));
    else await api.patch(ref, repeatOf(series), { type: 'merge' });
  } catch (error) {
    // An earlier try arrived after all; or the cluster forgot the event, as it does after an hour.
    if (isNew && isProblem(error) && error.code === 'api_exists') return;
    if (isNew || !isProblem(error) || error.code !== 'api_not_found') throw error;
    await api.create(eventOf(series, options));
  }
}

function earliest(waiting: ReadonlySet<EventSeries>): EventSeries | null {
  let first: EventSeries | null = null;
  for (const series of waiting) if (first === null || series.notBefore < first.notBefore) first = series;
  return first;
}
