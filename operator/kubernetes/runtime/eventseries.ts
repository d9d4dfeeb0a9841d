import { randomBytes } from 'node:crypto';
import { type KubeObject, microTime } from './object.ts';

/** What people see with `kubectl describe` and `kubectl get events`. */
export interface EventNote {
  /** The object that it is about. */
  readonly regarding: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, as a CamelCase word. */
  readonly reason: string;
  /** What happened, for people; what is beyond 1,000 characters is cut off. */
  readonly note: string;
  /** What was done or attempted, as a CamelCase word; `Reconcile` when left out. */
  readonly action?: string;
}

/** The same event, seen once or more often. */
export interface EventSeries {
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Unix ms. */
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** How many of `count` the server knows of; 0: there is no object yet. */
  written: number;
  /** Not written before that time (performance.now), and how often writing it failed in a row. */
  notBefore: number;
  failures: number;
}

export interface EventSeriesBook {
  /** Counts an event: in the series that it continues, or in a new one. Null: there are too many, it is lost. */
  count(note: EventNote, unixMs: number): EventSeries | null;
  /** What comes after this is a new series. */
  forget(series: EventSeries): void;
}

/** The same object, reason and note within that time is the same event. */
const windowMs = 600_000;
/** Different notes of one object and reason within that time; more are counted as one, under the words of the last. */
const mostNotes = 10;
/** Series that are known at the same time. */
const mostSeries = 4_000;
const longestNote = 1_000;

/**
 * Which events continue which. Bounded: of 4,000 series, the one that was not seen for longest is forgotten, and its
 * next event begins a new one; when all of them still wait to be written, nothing new is taken.
 */
export function createEventSeriesBook(): EventSeriesBook {
  /** Those seen last are last. */
  const book = new Map<string, EventSeries>();

  function makeRoom(unixMs: number): void {
    for (const [key, { lastAt, count, written }] of book) {
      const isOld = unixMs - lastAt >= windowMs;
      if (!isOld && book.size < mostSeries) return;
      if (count === written) book.delete(key);
    }
  }

  function keyOf(note: EventNote): string {
    const about = JSON.stringify([note.regarding.metadata.uid ?? nameOf(note.regarding), note.type, note.reason]);
    const key = about + note.note;
    if (book.has(key)) return key;
    const notes = [...book.keys()].filter((other) => other.startsWith(about)).length;
    return notes < mostNotes ? key : about;
  }

  return {
    count(note, unixMs) {
      makeRoom(unixMs);
      const key = keyOf(note);
      const known = book.get(key);
      if (known !== undefined) {
        known.count += 1;
        known.lastAt = unixMs;
        book.delete(key);
        book.set(key, known);
        return known;
      }
      if (book.size >= mostSeries) return null;
      const series = seriesOf(key, note, unixMs);
      book.set(key, series);
      return series;
    },
    forget: ({ key }) => void book.delete(key),
  };
}

function seriesOf(key: string, { regarding, type, reason, note, action = 'Reconcile' }: EventNote, unixMs: number) {
  const { namespace = 'default', name, uid, resourceVersion } = regarding.metadata;
  const { apiVersion, kind } = regarding;
  return {
    ...{ key, namespace, name: `${name.slice(0, 200)}.${randomBytes(8).toString('hex')}` },
    fields: {
      ...{ type, reason, action, note: note.slice(0, longestNote) },
      regarding: { apiVersion, kind, namespace: regarding.metadata.namespace, name, uid, resourceVersion },
    },
    ...{ firstAt: unixMs, lastAt: unixMs, count: 1, written: 0, notBefore: 0, failures: 0 },
  };
}

/** The object to create. `reporter`: the program and the pod. */
export function eventOf(series: EventSeries, reporter: { readonly component: string; readonly instance: string }) {
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: series.name, namespace: series.namespace },
    eventTime: microTime(series.firstAt),
    reportingController: reporter.component,
    reportingInstance: reporter.instance.slice(0, 128),
    ...series.fields,
    ...(series.count > 1 && repeatOf(series)),
  } satisfies KubeObject;
}

/** What a repetition changes. */
export function repeatOf({ count, lastAt }: EventSeries) {
  return { series: { count, lastObservedTime: microTime(lastAt) } };
}

function nameOf({ kind, metadata: { namespace = '', name } }: KubeObject): string {
  return `${kind} ${namespace}/${name}`;
}
