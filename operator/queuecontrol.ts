import { initShard } from '#queue/init.ts';
import { sessionRoot } from '#queue/merkle.ts';
import { verdictOf } from '#queue/replyerror.ts';
import type { SessionState } from '#queue/sessionfields.ts';
import type { Witness } from '#queue/witness.ts';
import { faultOf } from './fault.ts';
import type { DesiredQueue } from './plan.ts';
import type { Fault, Observed } from './platform.ts';
import { openShardLink, type ShardLink, unknownShard } from './shardlink.ts';
import type { Seal } from './stage.ts';

/** The operator's hand on the shards: who they are, what the session is, the seal. All through queue/. */
export interface QueueControl {
  /** What the shards say now; a shard that does not answer in time is not waited for. */
  observe(observed: Observed): Promise<QueueFacts>;
  /** Tells the shards what is desired, as far as they can be reached; null closes the connections. Idempotent. */
  apply(desired: DesiredQueue | null, observed: Observed, facts: QueueFacts): Promise<QueueOutcome>;
  close(): Promise<void>;
}

/** What a shard held when it was last seen, and under which incarnation. */
export interface ShardWitness extends Witness {
  readonly incarnation: string;
}

export interface QueueFacts {
  readonly shards: readonly ShardFacts[];
  /** The earliest of the shards' clocks (ms); null unless all of them told theirs. */
  readonly now: number | null;
}

export interface ShardFacts {
  readonly shard: number;
  /** unborn: not initialised yet. The others as in queue/connect.ts. */
  readonly phase: 'unborn' | 'connecting' | 'ready' | 'refused' | 'lost' | 'broken';
  readonly fault: Fault | null;
  /** Null when not known, or not readable. */
  readonly session: SessionState | null;
  readonly sealedAt: number | null;
  /** Null when it cannot be asked now. */
  readonly witness: ShardWitness | null;
  /** Students who have sent something, and who have finished. */
  readonly seen: number;
  readonly finished: number;
  readonly memory: { readonly usedBytes: number; readonly maxBytes: number } | null;
  /** Bytes of the append-only file, by Redis's own account. */
  readonly aofBytes: number | null;
  readonly time: number | null;
}

export interface QueueOutcome {
  /** Shards that were initialised, session and all, and may be recorded as born. */
  readonly born: readonly number[];
  /** All shards are sealed: their final witnesses and the session's root. */
  readonly seal: Seal | null;
}

/** How long a shard that was just initialised is waited for; after that the next pass goes on. */
const readyMs = 3_000;

/**
 * How long a new connection is waited for when a shard is looked at: a process that has just begun to lead would
 * otherwise tell that no shard can be reached, and take it back a moment later.
 */
const connectMs = 1_500;

/**
 * Makes the control over the shards of one session.
 *
 * A shard's birth: `init` writes who it is (answered `made`, or `same` when a crash came between), then the session
 * and the deadlines are written, then it is reported as born and recorded. Only after that do gateways start, so what
 * is born never stood empty with answers acknowledged, and what was seen initialised is never initialised again.
 */
export function createQueueControl(changed: () => void): QueueControl {
  const links = new Map<number, { of: string; link: ShardLink }>();
  /** Incarnations that `init` said ok to, in this process. */
  const initialised = new Set<string>();
  const initFaults = new Map<number, Fault>();

  /** The link to a shard; a new one when its endpoint or incarnation is another than before. */
  function linkTo(observed: Observed, shard: number): ShardLink | null {
    const endpoint = observed.shards.find((one) => one.shard === shard)?.endpoint ?? null;
    const birth = observed.identity.shards[shard];
    if (endpoint === null || birth === undefined) return null;
    const of = JSON.stringify([endpoint, birth.incarnation]);
    const known = links.get(shard);
    if (known?.of === of) return known.link;
    const { uid, shards } = observed.identity;
    const seen = observed.status?.redis.witnesses.find((witness) => witness.shard === shard);
    const lastId = seen?.incarnation === birth.incarnation ? seen.lastId : null;
    const identity = { uid, shard, shards: shards.length, incarnation: birth.incarnation };
    const link = openShardLink(endpoint, identity, lastId, changed);
    links.set(shard, { of, link });
    if (known !== undefined) void known.link.close();
    return link;
  }

  async function observe(observed: Observed): Promise<QueueFacts> {
    const shards = await Promise.all(
      observed.identity.shards.map(async ({ shard, born, incarnation }): Promise<ShardFacts> => {
        const open = born || initialised.has(incarnation);
        const facts = (open ? await look(observed, shard) : null) ?? unknownShard(shard);
        if (born) return facts;
        const isWrong = facts.phase === 'refused' || facts.phase === 'broken';
        const fault = initFaults.get(shard) ?? (isWrong ? facts.fault : null);
        return { ...unknownShard(shard), phase: fault === null ? 'unborn' : 'refused', fault };
      }),
    );
    const times = shards.map((shard) => shard.time);
    const told = times.filter((time) => time !== null);
    return { shards, now: told.length === times.length && told.length > 0 ? Math.min(...told) : null };
  }

  async function look(observed: Observed, shard: number): Promise<ShardFacts | null> {
    const isFirst = !links.has(shard);
    const link = linkTo(observed, shard);
    // What keeps it from being ready is what `observe` tells.
    if (isFirst) await link?.ready(connectMs).catch(() => undefined);
    return link === null ? null : link.observe();
  }

  /** True when the shard may be recorded as born. */
  async function bear(desired: DesiredQueue, observed: Observed, shard: number): Promise<boolean> {
    const { shards } = observed.identity;
    const { incarnation } = shards[shard]!;
    const { endpoint, running } = observed.shards.find((one) => one.shard === shard) ?? {};
    if (!endpoint || !running) return false;
    try {
      if (!initialised.has(incarnation)) {
        const { uid, exam } = desired;
        await initShard(endpoint, { uid, exam, shard, shards: shards.length, incarnation }, readyMs);
        initialised.add(incarnation);
      }
      const link = linkTo(observed, shard)!;
      await link.ready(readyMs);
      await link.tell(desired, null);
      initFaults.delete(shard);
      return true;
    } catch (error) {
      // Not there yet is no fault; a Redis that belongs to somebody else is one.
      if (verdictOf(error) === 'refused') initFaults.set(shard, faultOf(error));
      return false;
    }
  }

  async function apply(desired: DesiredQueue | null, observed: Observed, facts: QueueFacts): Promise<QueueOutcome> {
    if (desired === null) {
      await close();
      return { born: [], seal: null };
    }
    const born: number[] = [];
    await Promise.all(
      observed.identity.shards.map(async (birth) => {
        if (!birth.born && (await bear(desired, observed, birth.shard))) born.push(birth.shard);
      }),
    );
    const ready = facts.shards.filter((shard) => shard.phase === 'ready');
    await Promise.all(ready.map(({ shard, session }) => tell(desired, observed, shard, session)));
    const canSeal = desired.seal && ready.length === facts.shards.length && ready.length > 0;
    return { born: born.sort((a, b) => a - b), seal: canSeal ? await sealAll(observed) : null };
  }

  /** A shard that went away meanwhile is told in a later pass, which sees what it does not know. */
  async function tell(desired: DesiredQueue, observed: Observed, shard: number, known: SessionState | null) {
    try {
      await linkTo(observed, shard)?.tell(desired, known);
    } catch (error) {
      const verdict = verdictOf(error);
      if (verdict !== 'reconnect' && verdict !== 'retry') throw error;
    }
  }

  /** Seals every shard, then reads all writers' last states: the leaves of the root. */
  async function sealAll({ identity }: Observed): Promise<QueueOutcome['seal']> {
    const sealed = await Promise.all(identity.shards.map(({ shard }) => links.get(shard)!.link.seal()));
    return {
      witnesses: sealed.map(({ witness }) => witness),
      root: sessionRoot(sealed.flatMap(({ writers }) => writers)),
    };
  }

  async function close(): Promise<void> {
    const open = [...links.values()];
    links.clear();
    await Promise.all(open.map(({ link }) => link.close()));
  }

  return { observe, apply, close };
}
