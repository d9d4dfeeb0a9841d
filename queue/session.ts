import { randomUUID } from 'node:crypto';
import type { Shard } from './connect.ts';
import { keys, sessionFields } from './keys.ts';
import { type SessionState, sessionFromFields, sessionToFields } from './sessionfields.ts';

/** Reads the hash `session`. Problem `session_field_invalid` while the operator has not written it. */
export async function readSession(shard: Shard): Promise<SessionState> {
  return sessionFromFields(await shard.run((redis) => redis.hgetall(keys.session)));
}

/** Writes what changes, all of it at once. Only the operator may. */
export async function writeSession(shard: Shard, changes: Partial<SessionState>): Promise<void> {
  const fields = sessionToFields(changes);
  if (Object.keys(fields).length > 0) await shard.run((redis) => redis.hset(keys.session, fields));
}

/** Students of one transaction: bounds the time that Redis spends in it. */
const deadlinesAtOnce = 1_000;

/**
 * Gives students of this shard deadlines of their own (ms since 1970), or, with null, takes them away again. Gateways
 * notice by `deadlinesVersion`, which changes with every thousand. Repeating is safe. Only the operator may.
 */
export async function setDeadlines(shard: Shard, deadlines: ReadonlyMap<string, number | null>): Promise<void> {
  const all = [...deadlines];
  for (let from = 0; from < all.length; from += deadlinesAtOnce) {
    const some = all.slice(from, from + deadlinesAtOnce);
    const own = some.filter(([, deadline]) => deadline !== null).flatMap(([student, ms]) => [student, String(ms)]);
    const none = some.filter(([, deadline]) => deadline === null).map(([student]) => student);
    await shard.run(async (redis) => {
      const transaction = redis.multi();
      if (own.length > 0) transaction.hset(keys.deadlines, ...own);
      if (none.length > 0) transaction.hdel(keys.deadlines, ...none);
      transaction.hset(keys.session, sessionFields.deadlinesVersion, randomUUID());
      for (const [error] of (await transaction.exec()) ?? []) if (error) throw error;
    });
  }
}

/** A student's own deadline (ms since 1970); null: the session's `closesAt` holds. */
export async function readDeadline(shard: Shard, student: string): Promise<number | null> {
  const deadline = await shard.run((redis) => redis.hget(keys.deadlines, student));
  return deadline === null ? null : Number(deadline);
}
