import type { KubeObject } from './api.ts';
import { type FollowOptions, follow } from './follow.ts';
import { createMirror } from './mirror.ts';
import { startResync } from './resync.ts';
import { createStore, type ObjectKey } from './store.ts';

export type { InformerTrouble } from './mirror.ts';
export type { ObjectKey } from './store.ts';

export interface InformerOptions extends FollowOptions {
  /**
   * Told of each object that is new or changed, of each that went (null), and again of each about once every
   * `resyncMs`. It should only note the key: what it throws is reported (`onError`), and the watch goes on.
   */
  readonly onChange: (key: ObjectKey, object: KubeObject | null) => void;
  /** 10 min when left out. */
  readonly resyncMs?: number;
  /** The label that `byLabel` looks at. */
  readonly indexLabel?: string;
}

/** A cache of the objects of one kind that follows the API server. Its objects must not be changed. */
export interface Informer {
  /** Resolves when it has seen everything once; never when it is stopped before. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  readonly size: number;
  /** For how long listing or watching has failed, in ms; 0 while all is well. */
  readonly failingMs: number;
  /** `namespace` is empty for kinds without namespaces. */
  get(namespace: string, name: string): KubeObject | null;
  list(namespace?: string): KubeObject[];
  /** Those whose label `indexLabel` has this value. */
  byLabel(value: string): KubeObject[];
  /** Begins, or begins again after `stop`: what was cached is kept, and compared with the new list. */
  start(): void;
  /** No `onChange` comes after it was called. Resolves when nothing runs any more. */
  stop(): Promise<void>;
}

/** Makes an informer, which does nothing before `start`. How it follows the server is told at {@link follow}. */
export function createInformer(options: InformerOptions): Informer {
  const { resyncMs = 600_000, onChange, onError } = options;
  const store = createStore(options.indexLabel);
  const synced = Promise.withResolvers<void>();
  let isSynced = false;
  let failingSince: number | null = null;
  let abort: AbortController | null = null;
  /** The end of all runs until now. The next begins only then, so that there is never more than one watch. */
  let ended: Promise<void> = Promise.resolve();

  async function run(signal: AbortSignal): Promise<void> {
    const tell = (key: ObjectKey, object: KubeObject | null) => {
      if (!signal.aborted)
        reportingErrors(
          () => onChange(key, object),
          (error) => onError(error, 'onChange'),
        );
    };
    const endResync = startResync(resyncMs, store.keys, (key) => {
      const object = store.get(key.namespace, key.name);
      if (object !== null) tell(key, object);
    });
    await follow(options, createMirror(store, tell, options), { onListed, onHealth }, signal);
    endResync();
  }

  function onListed(): void {
    isSynced = true;
    synced.resolve();
  }

  function onHealth(healthy: boolean): void {
    failingSince = healthy ? null : (failingSince ?? performance.now());
  }

  return {
    synced: synced.promise,
    get isSynced() {
      return isSynced;
    },
    get size() {
      return store.size;
    },
    get failingMs() {
      return failingSince === null ? 0 : performance.now() - failingSince;
    },
    ...{ get: store.get, list: store.list, byLabel: store.byLabel },
    start() {
      if (abort !== null) return;
      const started = new AbortController();
      abort = started;
      ended = ended.then(() => run(started.signal));
    },
    async stop() {
      abort?.abort();
      abort = null;
      await ended;
    },
  };
}

/** Also what an async function rejects with. */
function reportingErrors(call: () => unknown, report: (error: unknown) => void): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(report);
  } catch (error) {
    report(error);
  }
}
