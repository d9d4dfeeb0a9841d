import { digestOf } from './digest.ts';
import type { Api, ObjectRef } from './runtime/api.ts';
import type { KubeObject } from './runtime/object.ts';

/**
 * Remembers what was applied, so that a pass that changes nothing writes nothing. What others did to an object in the
 * meantime is set right when it is seen in `live`, and else when the memory is old. A new process remembers nothing:
 * it applies everything once.
 */
export interface Applied {
  /**
   * Applies `object` unless that was done. `live`: the object as a cache has it; undefined where there is no cache.
   * @returns the object as it is now when it was applied; null when that was not necessary
   */
  ensure(object: KubeObject, live?: KubeObject | null): Promise<KubeObject | null>;
  /** Tells whether {@link Applied.ensure} would write. */
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
  readonly at: number;
}

export interface AppliedOptions {
  readonly manager: string;
  /** How long what was applied is believed to be so still; up to a fifth longer, so that not all are due at once. */
  readonly believeMs?: number;
  readonly now?: () => number;
}

/** Caches are seldom older. */
const lagMs = 5_000;

export function createApplied(
  api: Pick<Api, 'apply' | 'remove'>,
  { manager, believeMs = 600_000, now = Date.now }: AppliedOptions,
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

  function remember(object: KubeObject, { metadata }: KubeObject): void {
    const { uid, generation = 0 } = metadata;
    memories.set(keyOf(object), { digest: digestOf(object), uid, generation, at: now() });
  }

  return {
    isDue,
    keep: remember,
    async ensure(object, live) {
      if (!isDue(object, live)) return null;
      const applied = await api.apply(object, { manager });
      remember(object, applied);
      return applied;
    },
    async absent(ref) {
      const key = keyOf({ ...ref, metadata: ref });
      const memory = memories.get(key);
      if (memory?.digest === null && !isOld(memory)) return;
      await api.remove(ref);
      memories.set(key, { digest: null, uid: undefined, generation: 0, at: now() });
    },
  };
}

function keyOf({ apiVersion, kind, metadata }: { apiVersion: string; kind: string; metadata: { name: string } }) {
  return `${apiVersion} ${kind} ${metadata.name}`;
}
