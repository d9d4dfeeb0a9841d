import { originChain, parseState, type State } from './chain.ts';
import type { Shard } from './connect.ts';
import { type Finished, readFinished } from './finished.ts';
import { keys, splitWriterField, writerField } from './keys.ts';

/** What is known of a writer, read in one round trip. */
export interface WriterStanding {
  /** Durable; the origin when nothing is. */
  readonly state: State;
  /** The student's own deadline (ms since 1970); null: the session's `closesAt` holds. */
  readonly deadline: number | null;
  readonly finished: Finished | null;
}

/** Reads where a writer stands. */
export async function readWriter(shard: Shard, student: string, writer: string): Promise<WriterStanding> {
  const [state, deadline, finished] = await shard.run(async (redis) => {
    const asked = redis.pipeline();
    asked.hget(keys.writers, writerField(writer, student));
    asked.hget(keys.deadlines, student);
    asked.hget(keys.finished, student);
    const replies = (await asked.exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error) throw error;
      return reply as string | null;
    });
  });
  return {
    state: state ? parseState(state) : originState(shard, student, writer),
    deadline: deadline ? Number(deadline) : null,
    finished: finished ? readFinished(finished) : null,
  };
}

/** Reads the durable state alone; the origin when nothing is. */
export async function readState(shard: Shard, student: string, writer: string): Promise<State> {
  const text = await shard.run((redis) => redis.hget(keys.writers, writerField(writer, student)));
  return text === null ? originState(shard, student, writer) : parseState(text);
}

function originState(shard: Shard, student: string, writer: string): State {
  return { seq: 0, chain: originChain(shard.identity.uid, student, writer) };
}

/** Fields of one reply to aim for. */
const scanCount = 1_000;

/**
 * Every writer of the shard and its state, in no order, memory bounded by a page. HSCAN may give one twice, and before
 * the seal with two states: who counts must tell them apart (`sessionRoot` does).
 */
export async function* scanWriters(
  shard: Shard,
): AsyncGenerator<{ student: string; writer: string; state: State }, void, undefined> {
  for await (const [field, value] of scanHash(shard, keys.writers)) {
    yield { ...splitWriterField(field), state: parseState(value) };
  }
}

/** Every student of the shard that has finished. Like {@link scanWriters} it may give one twice. */
export async function* scanFinished(shard: Shard): AsyncGenerator<{ student: string } & Finished, void, undefined> {
  for await (const [student, value] of scanHash(shard, keys.finished)) yield { student, ...readFinished(value) };
}

async function* scanHash(shard: Shard, key: string): AsyncGenerator<[field: string, value: string], void, undefined> {
  let cursor = '0';
  do {
    const from = cursor;
    const [next, flat] = await shard.run((redis) => redis.hscan(key, from, 'COUNT', scanCount));
    for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!];
    cursor = next;
  } while (cursor !== '0');
}
