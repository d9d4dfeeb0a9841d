import type { Redis } from 'ioredis';
import { compareEntryIds } from './entryid.ts';
import { keys, metaFields, metaFormat, stateFields } from './keys.ts';
import { type Problem, problem } from './problem.ts';
import { scripts } from './script.ts';

/** Which shard of which session a Redis must be. */
export interface ShardIdentity {
  readonly uid: string;
  readonly shard: number;
  readonly shards: number;
  /** Opaque; made by the operator and kept outside of Redis, so that an empty or older volume shows. */
  readonly incarnation: string;
}

/** What a Redis says about itself. */
export interface ShardFacts {
  readonly meta: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, string>>;
  /** Id of the last entry of the log; null: there is none. */
  readonly lastId: string | null;
}

/** Without these settings an acknowledgement proves nothing. */
const settings = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction' } as const;

/**
 * Asks everything that PROTOCOL.md ("Connecting") wants to know, and writes the barrier, in one round trip. What is
 * read may be believed once this resolves: the barrier's fsync covers it. Rejects with the first error.
 */
export async function askShard(redis: Redis, incarnation: string): Promise<ShardFacts> {
  const { touch } = scripts;
  const asked = redis.pipeline();
  for (const { lua } of Object.values(scripts)) asked.script('LOAD', lua);
  asked.hgetall(keys.meta);
  asked.config('GET', ...Object.keys(settings));
  asked.evalsha(touch.sha, touch.keys.length, ...touch.keys, incarnation);
  asked.hget(keys.state, stateFields.lastId);
  const replies = (await asked.exec()) ?? [];
  for (const [error] of replies) if (error) throw error;
  const [meta, config, , lastId] = replies.slice(-4).map(([, reply]) => reply);
  return {
    meta: meta as Record<string, string>,
    config: pairs(config as string[]),
    lastId: lastId as string | null,
  };
}

/** The settings that {@link judgeConfig} judges. */
export async function askConfig(redis: Redis): Promise<Record<string, string>> {
  return pairs((await redis.config('GET', ...Object.keys(settings))) as string[]);
}

function pairs(flat: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) record[flat[i]!.toLowerCase()] = flat[i + 1]!;
  return record;
}

/**
 * Says why a Redis is not to be served from, or null when it is.
 * @param seenId the last entry that this process knows to have been durable; null: none yet
 */
export function judgeShard(facts: ShardFacts, identity: ShardIdentity, seenId: string | null): Problem | null {
  return judgeIdentity(facts.meta, identity) ?? judgeConfig(facts.config) ?? judgeAge(facts.lastId, seenId);
}

function judgeIdentity(meta: Readonly<Record<string, string>>, identity: ShardIdentity): Problem | null {
  if (Object.keys(meta).length === 0) {
    return problem(
      'shard_foreign',
      `this Redis is empty, it is not shard ${identity.shard} of session ${identity.uid}`,
      'Its volume is gone or was never initialised: restore the volume, or let the operator make the shard again.',
    );
  }
  const expected: readonly (readonly [field: string, value: string])[] = [
    [metaFields.format, metaFormat],
    [metaFields.uid, identity.uid],
    [metaFields.shard, String(identity.shard)],
    [metaFields.shards, String(identity.shards)],
    [metaFields.incarnation, identity.incarnation],
  ];
  const wrong = expected.find(([field, value]) => meta[field] !== value);
  if (!wrong) return null;
  const [field, value] = wrong;
  return problem(
    'shard_foreign',
    `the ${field} of this Redis is "${meta[field] ?? ''}", not "${value}"`,
    'This is another shard, session or volume: correct the address of the shard, or attach its own volume.',
  );
}

/** Judges the settings alone: also asked of a Redis that has no identity yet. */
export function judgeConfig(config: Readonly<Record<string, string>>): Problem | null {
  const wrong = Object.entries(settings).find(([name, value]) => config[name] !== value);
  if (!wrong) return null;
  const [name, value] = wrong;
  return problem(
    'shard_config',
    `this Redis has ${name} "${config[name] ?? ''}" where "${value}" is needed`,
    `Set "${name} ${value}" in redis.conf and restart it: without that an acknowledgement proves nothing.`,
  );
}

function judgeAge(lastId: string | null, seenId: string | null): Problem | null {
  if (seenId === null || (lastId !== null && compareEntryIds(lastId, seenId) >= 0)) return null;
  return problem(
    'shard_lost',
    `this Redis ends at entry ${lastId ?? 'none'}, but ${seenId} was durable: it has lost data`,
    'Stop it and attach the volume that holds the newest append-only file; never serve from this one.',
  );
}
