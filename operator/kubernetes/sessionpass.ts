import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { createQueueControl } from '../queuecontrol.ts';
import { createReconciler } from '../reconcile.ts';
import type { Settings } from '../settings.ts';
import type { SessionStatus } from '../status.ts';
import type { SessionCache } from './cache.ts';
import type { ClusterSettings } from './clustersettings.ts';
import { addFinalizer, hasFinalizer } from './deletion.ts';
import { openIdentity } from './identity.ts';
import { createInForce } from './inforce.ts';
import { annotationNames, type SessionRef } from './names.ts';
import { createClusterPlatform, type Look, ownStatus, putStatus } from './platform.ts';
import { releaseQueue } from './release.ts';
import type { Api, KubeObject } from './runtime/api.ts';
import { ensureSessionKeys } from './sessionkeys.ts';
import { pausedStatus, refusedStatus, type TroubleInput } from './sessionstatus.ts';

export interface SessionPassOptions {
  readonly api: Api;
  readonly ref: SessionRef;
  readonly settings: Settings;
  readonly clusterSettings: ClusterSettings;
  readonly cache: SessionCache;
  readonly log: Logger;
  /** Asks for another pass: something about its queue has changed. */
  readonly changed: () => void;
  readonly onStatus: (before: SessionStatus | null, after: SessionStatus, live: KubeObject) => void;
  readonly onNote: (regarding: KubeObject, note: { type: 'Normal' | 'Warning'; reason: string; note: string }) => void;
}

export interface PassDone {
  readonly status: SessionStatus | null;
  readonly requeueAfterMs: number | null;
}

/** Passes over one session, by its uid, and what this process keeps of it between them. */
export interface SessionPass {
  readonly ref: SessionRef;
  /** @param live the session as it was just read from etcd; it is not being deleted */
  run(live: KubeObject): Promise<PassDone>;
  /** Ends connections; what runs on the cluster goes on. */
  close(): Promise<void>;
}

/** A session that is refused is looked at again this often: its roster may be there by now. */
const refusedMs = 15_000;

/** Makes nothing before the first pass; that begins with the finalizer, then who the session is, then all else. */
export function createSessionPass(options: SessionPassOptions): SessionPass {
  const { api, ref, settings, clusterSettings } = options;
  const inForce = createInForce(api, ref);
  const queue = createQueueControl(options.changed);
  let opened: Awaited<ReturnType<typeof open>> | null = null;
  let look: Look | null = null;

  async function open(live: KubeObject) {
    const identity = await openIdentity(api, ref, live, clusterSettings.images);
    const keys = await ensureSessionKeys(api, ref, live, identity);
    const { log, cache, onStatus } = options;
    const parts = { api, ref, settings: clusterSettings, identity, keys, cache, log, onStatus };
    const platform = createClusterPlatform({ ...parts, look: () => look! });
    return { platform, reconcile: createReconciler({ platform, queue, settings }) };
  }

  async function run(read: KubeObject): Promise<PassDone> {
    const isPaused = read.metadata.annotations?.[annotationNames.paused] === 'true';
    // A session that was paused before anything was made of it stays like that.
    if (isPaused && !hasFinalizer(read)) return tell(read, pausedStatus, null);
    const live = hasFinalizer(read) ? read : await addFinalizer(api, read);
    const wish = await inForce.read(live);
    if (wish.session === null) return tell(live, (input) => refusedStatus(input, wish.fault!), refusedMs);
    look = { live, wish, session: wish.session };
    opened ??= await open(live);
    const { status, requeueAfterMs, done } = await opened.reconcile();
    const { keepQueueFor } = wish.session.spec.export;
    if (!done || isPaused || keepQueueFor === undefined) return { status, requeueAfterMs };
    const againMs = await release(live, keepQueueFor);
    return { status, requeueAfterMs: againMs ?? requeueAfterMs };
  }

  async function release(live: KubeObject, keepQueueFor: string): Promise<number | null> {
    const { claims, againMs } = await releaseQueue(api, ref, keepQueueFor, Date.now());
    if (claims.length > 0) {
      options.log.info({ claims, keepQueueFor }, "the queue's volume claims were deleted");
      const note = `Every answer is in the table, and ${keepQueueFor} are over: ${claims.length} volume claims of the queue were deleted.`;
      options.onNote(live, { type: 'Normal', reason: 'QueueReleased', note });
    }
    return againMs;
  }

  /** Why there is nothing to be seen of the session. */
  async function tell(
    live: KubeObject,
    statusOf: (input: TroubleInput) => SessionStatus,
    requeueAfterMs: number | null,
  ): Promise<PassDone> {
    const known = ownStatus(ref, live);
    const status = statusOf({ ref, generation: live.metadata.generation ?? 1, known, now: Date.now() });
    if (!isDeepStrictEqual(known, status)) {
      await putStatus(api, ref, status);
      options.onStatus(known, status, live);
    }
    return { status, requeueAfterMs };
  }

  return {
    ref,
    run,
    async close() {
      opened?.platform.close();
      await queue.close();
    },
  };
}
