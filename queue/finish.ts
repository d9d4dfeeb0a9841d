import { formatState, parseState, type State } from './chain.ts';
import type { Shard } from './connect.ts';
import { type Finished, readFinished } from './finished.ts';
import { readReply, unknownReply } from './reply.ts';
import { callScript, scripts } from './script.ts';

export type FinishReply =
  /** Finished, at this time (ms since 1970, Redis's clock); a repeat gives the time of the first. */
  | { readonly kind: 'ok'; readonly at: number }
  /** The student finished otherwise. */
  | ({ readonly kind: 'finished' } & Finished)
  /** The writer stands elsewhere; null: it has nothing durable. */
  | { readonly kind: 'behind'; readonly state: State | null }
  | { readonly kind: 'sealed' };

/**
 * Records that the student has finished with exactly this state of this writer. Idempotent. Afterwards nothing more
 * of the student is appended. An empty paper: seq 0 and the origin chain, of a writer without events.
 */
export async function finish(shard: Shard, student: string, writer: string, state: State): Promise<FinishReply> {
  const args = [shard.identity.incarnation, student, writer, formatState(state)];
  return shard.run(async (redis) => readFinishReply(await callScript(redis, scripts.finish, args)));
}

function readFinishReply(reply: unknown): FinishReply {
  const [word, what] = readReply(reply);
  if (word === 'sealed') return { kind: 'sealed' };
  if (what === undefined) throw unknownReply(reply);
  if (word === 'ok') return { kind: 'ok', at: Number(what) };
  if (word === 'finished') return { kind: 'finished', ...readFinished(what) };
  if (word === 'behind') return { kind: 'behind', state: what === '0:' ? null : parseState(what) };
  throw unknownReply(reply);
}
