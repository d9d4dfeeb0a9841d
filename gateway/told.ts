import { isChain, type State } from '#queue/chain.ts';

/** What a client was told durable before. */
export interface Told {
  readonly seq: number;
  readonly chain: string | null;
  /** Under which incarnation; null: the client does not say, so the present one is meant. */
  readonly incarnation: string | null;
}

/** Reads the second argument of Open: null, a seq, or `{seq, chain?, incarnation?}`. Undefined: something else. */
export function readTold(value: unknown): Told | null | undefined {
  if (value === null) return null;
  const {
    seq,
    chain = null,
    incarnation = null,
  } = (typeof value === 'object' ? value : { seq: value }) as Record<string, unknown>;
  if (!Number.isSafeInteger(seq) || (seq as number) < 0) return undefined;
  if (chain !== null && (typeof chain !== 'string' || !isChain(chain))) return undefined;
  if (incarnation !== null && typeof incarnation !== 'string') return undefined;
  return { seq: seq as number, chain, incarnation };
}

/**
 * Tells whether what a client was told still holds. It does not when the shard has less than was acknowledged, or
 * something else at the same place: then it has lost data. A shard of another incarnation promised nothing yet.
 */
export function isTold(told: Told, durable: State, incarnation: string): boolean {
  if (told.incarnation !== null && told.incarnation !== incarnation) return true;
  if (durable.seq < told.seq) return false;
  return durable.seq > told.seq || told.seq === 0 || told.chain === null || told.chain === durable.chain;
}
