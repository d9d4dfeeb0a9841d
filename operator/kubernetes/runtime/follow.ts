import { setTimeout as sleep } from 'node:timers/promises';
import { backoff } from '#queue/backoff.ts';
import { isProblem, type Problem, problem } from '#queue/problem.ts';
import type { Api, KindRef, ListQuery, WatchEvent } from './api.ts';
import type { Mirror, MirrorOptions } from './mirror.ts';

export interface FollowOptions extends MirrorOptions {
  readonly api: Pick<Api, 'pages' | 'watch'>;
  readonly kind: KindRef;
  /** All namespaces when left out. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** A list this old is made again when its watch ends, should an event ever have been lost; 1 h when left out. */
  readonly relistMs?: number;
  /** A watch that brings nothing, not even a bookmark, for so long is begun again; 120 s when left out. */
  readonly silenceMs?: number;
  /** Pause after an error, in ms: doubled by each further one. 500 up to 30,000 when left out. */
  readonly pause?: { readonly first: number; readonly most: number };
  readonly metrics?: { watchRestarted(kind: string, reason: string): void };
}

/** Told of how the following goes. */
export interface FollowListener {
  /** A whole list is in the mirror. */
  onListed(): void;
  /** False when a list or a watch failed; true when a watch stands. */
  onHealth(healthy: boolean): void;
}

/** A watch that ended in good order, but sooner than that and without an event, counts as failed. */
const shortestWatchMs = 1_000;
/** The server ends a watch after this many seconds, chosen at random, so that many do not begin again together. */
const watchSeconds = { least: 240, most: 300 };

/**
 * Keeps a mirror like the objects on the server, until `signal` is given. Never rejects.
 *
 *     listing ──all pages read──▶ watching ──ended in good order──▶ watching, from where it was
 *        ▲                           │
 *        │                           ├── the connection broke, or was silent ──pause──▶ watching, from where it was
 *        └──────────pause────────────┴── history is gone (410), or went back
 *
 * A list that fails is begun again after a pause. Pauses grow with each failure, and whatever a watch brings makes
 * them short again. Before a watch goes on, a list of one object tells how far the server is: when that is behind us,
 * etcd was restored from a backup, and a watch from our future would stay silent.
 */
export async function follow(
  options: FollowOptions,
  mirror: Mirror,
  { onListed, onHealth }: FollowListener,
  signal: AbortSignal,
): Promise<void> {
  const { api, onError, metrics, kind, pause = { first: 500, most: 30_000 }, relistMs = 3_600_000 } = options;
  const { silenceMs = 120_000 } = options;
  const onOpen = () => onHealth(true);
  const query = queryOf(options);
  /** How far we have come; null: nothing is known, and a list comes first. */
  let at: string | null = null;
  let listedAt = 0;
  let failures = 0;
  let wentBack = false;

  while (!signal.aborted) {
    try {
      await round();
    } catch (error) {
      if (!signal.aborted) await recover(error);
    }
  }

  async function round(): Promise<void> {
    if (at === null || performance.now() - listedAt > relistMs) {
      at = await mirror.replace(api.pages(query, { signal }), wentBack);
      wentBack = false;
      listedAt = performance.now();
      onListed();
    } else await checkHistory(at);
    const [from, startedAt] = [at, performance.now()];
    const timeoutSeconds = randomSeconds();
    await api.watch(query, { resourceVersion: from, timeoutSeconds, silenceMs, onOpen, signal }, onEvent);
    if (signal.aborted) return;
    if (at === from && performance.now() - startedAt < shortestWatchMs) throw endedAtOnce();
    progress(at);
    metrics?.watchRestarted(kind.kind, 'ended');
  }

  async function recover(error: unknown): Promise<void> {
    const code = isProblem(error) ? error.code : 'unexpected';
    onError(error, at === null ? 'list' : 'watch');
    if (code === 'api_gone') at = null;
    metrics?.watchRestarted(kind.kind, code);
    onHealth(false);
    await sleep(backoff(failures, pause), undefined, { signal }).catch(() => {});
    failures += 1;
  }

  async function checkHistory(known: string): Promise<void> {
    const { value } = await api.pages(query, { limit: 1, signal }).next();
    if (value !== undefined) checkVersion(value.resourceVersion, known);
  }

  function checkVersion(version: string, known: string): void {
    if (!isBehind(version, known)) return;
    wentBack = true;
    throw historyWentBack();
  }

  function onEvent({ type, object }: WatchEvent): void {
    if (signal.aborted) return;
    const { resourceVersion = '' } = object.metadata;
    if (at !== null) checkVersion(resourceVersion, at);
    if (type === 'DELETED') mirror.lose(object);
    else if (type !== 'BOOKMARK') mirror.take(object);
    progress(resourceVersion);
  }

  function progress(resourceVersion: string): void {
    at = resourceVersion;
    failures = 0;
  }
}

function randomSeconds(): number {
  return watchSeconds.least + Math.floor(Math.random() * (watchSeconds.most - watchSeconds.least));
}

function queryOf({ kind, namespace, labelSelector, fieldSelector }: FollowOptions): ListQuery {
  return {
    ...kind,
    ...(namespace !== undefined && { namespace }),
    ...(labelSelector !== undefined && { labelSelector }),
    ...(fieldSelector !== undefined && { fieldSelector }),
  };
}

/** Versions of one kind can be compared as numbers (KEP-5504). Versions that are none tell nothing. */
function isBehind(version: string, other: string): boolean {
  const isNumber = /^\d+$/;
  return isNumber.test(version) && isNumber.test(other) && BigInt(version) < BigInt(other);
}

function endedAtOnce(): Problem {
  const remedy = 'It is tried again. Something between here and the API server may cut long requests.';
  return problem('api_unreachable', 'a watch ended as soon as it had begun', remedy);
}

function historyWentBack(): Problem {
  const remedy = 'Everything is listed again. Was etcd restored from a backup?';
  return problem('api_gone', 'the API server is behind what it told before', remedy);
}
