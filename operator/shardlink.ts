import { isDeepStrictEqual } from 'node:util';
import type { Endpoint } from '#queue/client.ts';
import { openShard } from '#queue/connect.ts';
import { shardOf } from '#queue/identity.ts';
import { keys } from '#queue/keys.ts';
import { seal } from '#queue/seal.ts';
import { readSession, setDeadlines, writeSession } from '#queue/session.ts';
import type { SessionState } from '#queue/sessionfields.ts';
import type { ShardIdentity } from '#queue/shardcheck.ts';
import { readWitness } from '#queue/witness.ts';
import { scanWriters } from '#queue/writerstate.ts';
import { faultOf } from './fault.ts';
import type { DesiredQueue } from './plan.ts';
import type { ShardFacts, ShardWitness } from './queuecontrol.ts';

/** How long one shard is waited for, a command: one that is slower is dropped, and looked at again in the next pass. */
const commandTimeoutMs = 3_000;

/** The operator's connection to one shard. */
export interface ShardLink {
  /** What the shard says, or what keeps it from answering. */
  observe(): Promise<ShardFacts>;
  /** Waits until the connection is checked and usable. */
  ready(timeoutMs: number): Promise<void>;
  /** Writes what differs of the session and its deadlines. */
  tell(desired: DesiredQueue, known: SessionState | null): Promise<void>;
  /** Seals the shard, again with the same answer, and reads what is final. */
  seal(): Promise<{ witness: ShardWitness; writers: WriterEnd[] }>;
  close(): Promise<void>;
}

export type WriterEnd = { student: string; writer: string; state: { seq: number; chain: string } };

/**
 * @param lastId the last entry that was ever seen in this shard, from the status; a Redis that is behind it has lost
 *   data (an older volume was put in its place), which nothing inside it can show
 */
export function openShardLink(
  endpoint: Endpoint,
  identity: ShardIdentity,
  lastId: string | null,
  changed: () => void,
): ShardLink {
  const shard = openShard({ endpoint, identity, name: 'operator', onState: changed, timing: { commandTimeoutMs } });
  if (lastId) shard.saw(lastId);

  async function observe(): Promise<ShardFacts> {
    const { phase, problem } = shard.state;
    const nothing = { ...unknownShard(identity.shard), fault: problem === undefined ? null : faultOf(problem) };
    if (phase !== 'ready') return { ...nothing, phase: phase === 'closed' ? 'connecting' : phase };
    try {
      return await ask();
    } catch (error) {
      return { ...nothing, fault: faultOf(error) };
    }
  }

  async function ask(): Promise<ShardFacts> {
    const [witness, session, counts] = await Promise.all([
      readWitness(shard),
      readSession(shard).catch(() => null),
      shard.run(async (redis) => {
        const [time, seen, finished, memory, persistence] = await Promise.all([
          redis.time(),
          redis.hlen(keys.students),
          redis.hlen(keys.finished),
          redis.info('memory'),
          redis.info('persistence'),
        ]);
        const ms = Math.floor(Number(time[0]) * 1_000 + Number(time[1]) / 1_000);
        return { time: ms, seen, finished, memory, persistence };
      }),
    ]);
    const { sealed, ...rest } = witness;
    if (rest.lastId !== '') shard.saw(rest.lastId);
    return {
      shard: identity.shard,
      phase: 'ready',
      fault: null,
      session,
      sealedAt: sealed,
      witness: { ...rest, incarnation: identity.incarnation },
      seen: counts.seen,
      finished: counts.finished,
      memory: memoryOf(counts.memory),
      aofBytes: infoNumber(counts.persistence, 'aof_current_size'),
      time: counts.time,
    };
  }

  /** Deadlines first: who gets more time never has a moment with less. */
  async function tell(desired: DesiredQueue, known: SessionState | null): Promise<void> {
    const { version } = desired.deadlines;
    if (known?.deadlinesVersion !== version) await writeDeadlines(desired);
    const wanted: SessionState = {
      ...desired.session,
      full: desired.full.has(identity.shard),
      deadlinesVersion: version,
    };
    if (!isDeepStrictEqual(known, wanted)) await writeSession(shard, wanted);
  }

  async function writeDeadlines({ deadlines }: DesiredQueue): Promise<void> {
    const old = await shard.run((redis) => redis.hgetall(keys.deadlines));
    const changes = new Map<string, number | null>();
    for (const student of Object.keys(old)) changes.set(student, null);
    for (const [student, deadline] of deadlines.own) {
      if (shardOf(student, identity.shards) === identity.shard) changes.set(student, deadline);
    }
    if (changes.size > 0) await setDeadlines(shard, changes);
  }

  return {
    observe,
    tell,
    ready: (timeoutMs) => shard.ready(timeoutMs),
    close: () => shard.close(),
    async seal() {
      await seal(shard);
      const writers: WriterEnd[] = [];
      for await (const writer of scanWriters(shard)) writers.push(writer);
      const { sealed: _, ...witness } = await readWitness(shard);
      return { witness: { ...witness, incarnation: identity.incarnation }, writers };
    },
  };
}

/** A shard of which nothing is known now. */
export function unknownShard(shard: number): ShardFacts {
  return {
    shard,
    phase: 'connecting',
    fault: null,
    session: null,
    sealedAt: null,
    witness: null,
    seen: 0,
    finished: 0,
    memory: null,
    aofBytes: null,
    time: null,
  };
}

function memoryOf(info: string): ShardFacts['memory'] {
  const usedBytes = infoNumber(info, 'used_memory');
  const maxBytes = infoNumber(info, 'maxmemory');
  return usedBytes !== null && maxBytes !== null && maxBytes > 0 ? { usedBytes, maxBytes } : null;
}

function infoNumber(info: string, name: string): number | null {
  const found = new RegExp(`^${name}:(\\d+)`, 'm').exec(info);
  return found === null ? null : Number(found[1]);
}
