import { maxmemoryWithin, memoryFor } from '../capacity.ts';
import type { ExamSpec } from '../examsession.ts';
import type { DesiredShards } from '../plan.ts';
import { numberOf } from '../quantity.ts';
import { defaultSettings } from '../settings.ts';
import { digestOf } from './digest.ts';
import type { PodParts } from './resources/pod.ts';

/** What a session says about its shards' pods and claims (`spec.redis`); quantities are text. */
export interface RedisWishes {
  readonly storage?: string | undefined;
  readonly storageClass?: string | undefined;
  readonly resources?: { readonly cpu?: string | undefined; readonly memory?: string | undefined } | undefined;
  readonly pod?: PodParts | undefined;
}

/** What one shard gets; bytes and cores. */
export interface ShardSizes {
  readonly maxmemoryBytes: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly cpu: number;
}

const { capacity } = defaultSettings;

/**
 * The plan's sizes, or the session's own. `maxmemory` never shrinks, since Redis would refuse everything once it holds
 * more than that; so neither does the memory below what that `maxmemory` needs.
 * @param knownMaxmemory what the shards were configured with; 0 for none yet
 */
export function shardSizes(desired: DesiredShards, wishes: RedisWishes, knownMaxmemory: number): ShardSizes {
  const memory = numberOf(wishes.resources?.memory);
  const maxmemory = memory === null ? desired.maxmemoryBytes : maxmemoryWithin(memory, capacity);
  const maxmemoryBytes = Math.max(maxmemory, knownMaxmemory);
  return {
    maxmemoryBytes,
    memoryBytes: Math.max(memory ?? desired.memoryBytes, Math.ceil(memoryFor(maxmemoryBytes, capacity))),
    storageBytes: numberOf(wishes.storage) ?? desired.storageBytes,
    cpu: numberOf(wishes.resources?.cpu) ?? desired.cpu,
  };
}

/**
 * Tells whether a session wants other shards than those that were made: a digest of its wishes, not of the sizes that
 * this version of the operator works out, so that an upgraded operator restarts no shard of an exam that runs.
 *
 * A field that is added here must change nothing where the session does not use it.
 */
export function redisInputs(spec: ExamSpec, shards: number, image: string): string {
  const { resources, pod }: RedisWishes = spec.redis;
  return digestOf({ students: spec.students, answers: spec.answers, resources, pod, shards, image });
}
