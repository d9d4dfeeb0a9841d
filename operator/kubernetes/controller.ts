import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { isProblem } from '#queue/problem.ts';
import { apiVersion, kind } from '../examsession.ts';
import { faultOf } from '../fault.ts';
import { createLoop, type Loop, type PassResult } from '../loop.ts';
import type { SessionStatus } from '../status.ts';
import type { SessionCache } from './cache.ts';
import { keyOf } from './caches.ts';
import { deleteSession, hasFinalizer, isDeleting } from './deletion.ts';
import type { SessionRef } from './names.ts';
import { ownStatus, putStatus } from './platform.ts';
import type { Api, KubeObject } from './runtime/api.ts';
import type { EventRecorder } from './runtime/events.ts';
import { createSessionPass, type SessionPass, type SessionPassOptions } from './sessionpass.ts';
import { deletingStatus, reasonOf, type TroubleInput, troubledStatus } from './sessionstatus.ts';
import { statusNotes } from './statusevents.ts';
import { createStuckWatch } from './stuck.ts';

export interface ControllerOptions extends Pick<SessionPassOptions, 'settings' | 'clusterSettings'> {
  /** Fenced: every write of a process that does not lead any more fails. */
  readonly api: Api;
  readonly caches: { keys(): string[]; of(uid: string): SessionCache };
  readonly events: Pick<EventRecorder, 'record'>;
  readonly workers: number;
  readonly log: Logger;
  readonly measured: (pass: (key: string) => Promise<PassResult>) => (key: string) => Promise<PassResult>;
}

/** Looks after all sessions, while this process leads. */
export interface Controller {
  /** Begins with every session that is known. */
  start(): void;
  /** No more passes; resolves when those that run have ended. It can be started again. */
  stop(): Promise<void>;
  /** Something happened to this session. Does nothing on a standby. */
  enqueue(key: string): void;
  readonly queue: { readonly depth: number; readonly running: number };
  phases(): Readonly<Record<string, number>>;
  stuck(): number;
}

/** What ends by itself, or says nothing about the session. */
const passing = new Set([
  ...['api_unreachable', 'api_timeout', 'api_conflict', 'api_throttled', 'api_gone', 'api_failed', 'not_leader'],
]);
/** Pods that end bring passes; this is for those that do not say so. */
const deletionPassMs = 2_000;

export function createController(options: ControllerOptions): Controller {
  const { api, events, log } = options;
  const passes = new Map<string, SessionPass>();
  const stuck = createStuckWatch();
  let loop: Loop | null = null;

  /** One pass over one session: it is read live, and whatever is done follows from that. */
  async function pass(key: string): Promise<PassResult> {
    const [namespace = '', name = ''] = key.split('/');
    const live = await api.get({ apiVersion, kind, namespace, name });
    const known = passes.get(key);
    if (known !== undefined && known.ref.uid !== live?.metadata.uid) await forget(key);
    if (live === null) {
      stuck.forget(key);
      return { requeueAfterMs: null };
    }
    const ref = { namespace, name, uid: live.metadata.uid! };
    try {
      return await (isDeleting(live) ? remove(key, ref, live) : look(key, ref, live));
    } catch (error) {
      stuck.failed(key);
      await tellTrouble(ref, live, error);
      throw error;
    }
  }

  async function look(key: string, ref: SessionRef, live: KubeObject): Promise<PassResult> {
    const known = passes.get(key) ?? open(key, ref);
    passes.set(key, known);
    const { status, requeueAfterMs } = await known.run(live);
    stuck.passed(key, status);
    return { requeueAfterMs };
  }

  function open(key: string, ref: SessionRef): SessionPass {
    const { settings, clusterSettings } = options;
    return createSessionPass({
      ...{ api, ref, settings, clusterSettings, cache: options.caches.of(ref.uid) },
      log: log.child({ namespace: ref.namespace, session: ref.name, uid: ref.uid }),
      changed: () => loop?.enqueue(key),
      onStatus: tell,
      onNote: (regarding, note) => events.record({ regarding, ...note }),
    });
  }

  function tell(before: SessionStatus | null, after: SessionStatus, live: KubeObject): void {
    for (const note of statusNotes(before, after)) events.record({ regarding: live, ...note });
  }

  async function remove(key: string, ref: SessionRef, live: KubeObject): Promise<PassResult> {
    await forget(key);
    if (!hasFinalizer(live)) return { requeueAfterMs: null };
    stuck.deleting(key);
    const { waitsFor, kept } = await deleteSession(api, ref, live, Date.now());
    if (waitsFor !== null) {
      await write(ref, live, (input) => deletingStatus(input, waitsFor, null));
      return { requeueAfterMs: deletionPassMs };
    }
    log.info({ key, uid: ref.uid, kept }, 'a session was deleted');
    if (kept.length > 0)
      events.record({ regarding: live, type: 'Warning', reason: 'AnswersKept', note: keptNote(kept) });
    return { requeueAfterMs: null };
  }

  /** A failure that stays is told where people look; one that passes is in the log and the metrics. */
  async function tellTrouble(ref: SessionRef, live: KubeObject, error: unknown): Promise<void> {
    if (isProblem(error) && passing.has(error.code)) return;
    const fault = faultOf(error);
    const note = `${fault.message}. What to do: ${fault.remedy}`;
    events.record({ regarding: live, type: 'Warning', reason: reasonOf(fault), note });
    const make = (input: TroubleInput) =>
      isDeleting(live) ? deletingStatus(input, '', fault) : troubledStatus(input, fault);
    await write(ref, live, make).catch((failed: unknown) => logError(keyOf(ref), failed, 'the trouble is not told'));
  }

  async function write(ref: SessionRef, live: KubeObject, make: (input: TroubleInput) => SessionStatus): Promise<void> {
    const known = readable(ref, live);
    const status = make({ ref, generation: live.metadata.generation ?? 1, known, now: Date.now() });
    if (!isDeepStrictEqual(known, status)) await putStatus(api, ref, status);
  }

  async function forget(key: string): Promise<void> {
    const known = passes.get(key);
    passes.delete(key);
    await known?.close();
  }

  /** Not the error itself: errors of Redis carry the command, and with it a password. */
  function logError(key: string, error: unknown, what: string, more: object = {}): void {
    log.error({ key, ...faultOf(error), stack: (error as Error).stack, ...more }, what);
  }

  return {
    start() {
      if (loop !== null) return;
      loop = createLoop({
        pass: options.measured(pass),
        workers: options.workers,
        onError: (key, error, retryMs) => logError(key, error, 'a pass failed and is repeated', { retryMs }),
      });
      for (const key of options.caches.keys()) loop.enqueue(key);
    },
    async stop() {
      const ending = loop;
      loop = null;
      await ending?.stop();
      await Promise.all([...passes.keys()].map(forget));
    },
    enqueue: (key) => loop?.enqueue(key),
    get queue() {
      return { depth: loop?.depth ?? 0, running: loop?.running ?? 0 };
    },
    phases: stuck.phases,
    stuck: stuck.count,
  };
}

/** Null also for a status that nobody can read: that is the trouble that is told. */
function readable(ref: SessionRef, live: KubeObject): SessionStatus | null {
  try {
    return ownStatus(ref, live);
  } catch {
    return null;
  }
}

function keptNote(claims: readonly string[]): string {
  const names = claims.slice(0, 10).join(', ');
  const more = claims.length > 10 ? ` and ${claims.length - 10} more` : '';
  return `The answers were not proved to be in the table, so their volume claims stay: ${names}${more}. To give them up, set the annotation untradex.io/delete-unverified of each to its uid, remove its finalizer untradex.io/keep-answers, then delete it.`;
}
