import { isProblem } from '#queue/problem.ts';
import { digestOf } from './digest.ts';
import type { Api, ObjectRef } from './runtime/api.ts';
import type { KubeObject } from './runtime/object.ts';

/**
 * Remembers what was applied, so that a pass that changes nothing writes nothing. What others did to an object in the
 * meantime is set right: at once where a cache shows it, else within seconds, since it is looked at again now and then;
 * and at the latest when the memory is old. A new process remembers nothing: it applies everything once.
 */
export interface Applied {
  /**
   * Applies `object` unless that was done. `live`: the object as a cache has it; undefined where there is no cache.
   * @returns the object as it is now when it was applied; null when that was not necessary
   */
  ensure(object: KubeObject, live?: KubeObject | null): Promise<KubeObject | null>;
  /** Tells whether {@link Applied.ensure} would write, as far as that is known without a look. */
  isDue(object: KubeObject, live?: KubeObject | null): boolean;
  /** Keeps that `object` was asked for, and `now` is what came of it. */
  keep(object: KubeObject, now: KubeObject): void;
  /** Removes it unless it is known to be absent. */
  absent(ref: ObjectRef): Promise<void>;
}

interface Memory {
  /** Null: it is absent. */
  readonly digest: string | null;
  readonly uid: string | undefined;
  readonly generation: number;
  /** Digest of what came of it, without what others write: its status, and who owns which field. */
  readonly content: string;
  readonly at: number;
  lookedAt: number;
}

export interface AppliedOptions {
  readonly manager: string;
  /** How long what was applied is believed to be so still; up to a fifth longer, so that not all are due at once. */
  readonly believeMs?: number;
  /** What no cache shows is looked at so often. A session's passes come every 15 s at least. */
  readonly lookMs?: number;
  readonly now?: () => number;
}

/** Caches are seldom older. */
const lagMs = 5_000;

export function createApplied(
  api: Pick<Api, 'get' | 'apply' | 'remove'>,
  { manager, believeMs = 600_000, lookMs = 14_000, now = Date.now }: AppliedOptions,
): Applied {
  const memories = new Map<string, Memory>();
  const spread = 1 + Math.random() / 5;
  const isOld = (memory: Memory | undefined) => memory === undefined || now() - memory.at > believeMs * spread;

  function isDue(object: KubeObject, live?: KubeObject | null): boolean {
    const memory = memories.get(keyOf(object));
    if (isOld(memory) || memory!.digest !== digestOf(object)) return true;
    // A cache that lags shows none, or an older generation: no reason to write.
    if (live === undefined || (live === null && now() - memory!.at < lagMs)) return false;
    return live === null || live.metadata.uid !== memory!.uid || (live.metadata.generation ?? 0) > memory!.generation;
  }

  /** Somebody deleted or changed it. Asks the API server, but not often. */
  async function isAltered(object: KubeObject): Promise<boolean> {
    const memory = memories.get(keyOf(object))!;
    if (now() - memory.lookedAt < lookMs) return false;
    memory.lookedAt = now();
    const { apiVersion, kind, metadata } = object;
    try {
      const live = await api.get({ apiVersion, kind, namespace: metadata.namespace!, name: metadata.name });
      return live === null || live.metadata.uid !== memory.uid || contentOf(live) !== memory.content;
    } catch (error) {
      // Who may not look may still apply, which changes nothing when nothing is wrong.
      if (isProblem(error) && error.code === 'api_forbidden') return true;
      throw error;
    }
  }

  function remember(object: KubeObject, applied: KubeObject): void {
    const { uid, generation = 0 } = applied.metadata;
    const [digest, content, at] = [digestOf(object), contentOf(applied), now()];
    memories.set(keyOf(object), { digest, content, uid, generation, at, lookedAt: at });
  }

  return {
    isDue,
    keep: remember,
    async ensure(object, live) {
      if (!isDue(object, live) && (live !== undefined || !(await isAltered(object)))) return null;
      const applied = await api.apply(object, { manager });
      remember(object, applied);
      return applied;
    },
    async absent(ref) {
      const key = keyOf({ ...ref, metadata: ref });
      const memory = memories.get(key);
      if (memory?.digest === null && !isOld(memory)) return;
      await api.remove(ref);
      memories.set(key, { digest: null, content: '', uid: undefined, generation: 0, at: now(), lookedAt: now() });
    },
  };
}

function contentOf({ metadata, status: _, ...content }: KubeObject): string {
  const { labels, annotations, ownerReferences } = metadata;
  return digestOf({ content, labels, annotations, ownerReferences });
}

function keyOf({ apiVersion, kind, metadata }: { apiVersion: string; kind: string; metadata: { name: string } }) {
  return `${apiVersion} ${kind} ${metadata.name}`;
}
