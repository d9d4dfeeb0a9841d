import { setImmediate as turn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Shard } from '#queue/connect.ts';
import { splitWriterField } from '#queue/keys.ts';
import { asProblem } from '#queue/replyerror.ts';
import { scripts } from '#queue/script.ts';
import type { MemoryStore } from './memorystore.ts';

/** What the network does to the next call of this process. */
export type Fault = 'request lost' | 'reply lost';

export interface MemoryShard extends Shard {
  /** The faults of the calls to come, the next one first. */
  readonly faults: Fault[];
  /** What was said of the shard: none of it may ever be said of a store that loses nothing. */
  readonly alarms: string[];
}

/**
 * A connection of one process to a store in memory. Calls arrive in the order that they were made, and replies in the
 * order of the calls, each after as many turns of the event loop as `latency` says.
 */
export function memoryShard(store: MemoryStore, uid: string, latency: () => number): MemoryShard {
  const faults: Fault[] = [];
  const alarms: string[] = [];
  let arrived: Promise<unknown> = Promise.resolve();
  let answered: Promise<unknown> = Promise.resolve();

  async function travel(): Promise<void> {
    for (let turns = latency(); turns > 0; turns--) await turn();
  }

  function answer<T>(reply: () => T): Promise<T> {
    const fault = faults.shift();
    const lost = () => Promise.reject(new Error('Connection is closed.'));
    const arrives = arrived.then(travel).then(() => (fault === 'request lost' ? lost() : reply()));
    const answers = Promise.all([answered, arrives.catch(() => undefined)])
      .then(travel)
      .then(() => (fault === 'reply lost' ? lost() : arrives));
    arrived = arrives.catch(() => undefined);
    answered = answers.catch(() => undefined);
    return answers;
  }

  const redis = {
    evalsha: (sha: string, keyCount: number, ...args: (string | Buffer)[]) =>
      answer(() => {
        if (sha !== scripts.append.sha) throw new Error(`no such script here: ${sha}`);
        return store.append(args.slice(keyCount + 1));
      }),
    hget: (_key: string, field: string) =>
      answer(() => {
        const { writer, student } = splitWriterField(field);
        const state = store.stateOf(student, writer);
        return state && `${state.seq}:${state.chain}`;
      }),
    info: async () => '',
  } as unknown as Redis;

  return {
    faults,
    alarms,
    state: { phase: 'ready' },
    identity: { uid, shard: 0, shards: 1, incarnation: 'incarnation' },
    run: (fn) =>
      fn(redis).catch((error: unknown) => {
        throw asProblem(error);
      }),
    ready: async () => void (await turn()),
    saw: () => undefined,
    trouble: (problem) => void (problem && alarms.push(problem.message)),
    lose: (problem) => void alarms.push(problem.message),
    breakDown: (problem) => void alarms.push(problem.message),
    close: async () => undefined,
  };
}
