import { openShard, type Shard } from '#queue/connect.ts';
import type { SessionState } from '#queue/sessionfields.ts';
import { createShardWriter, type ShardWriter } from '#queue/shardwriter.ts';
import type { GatewayConfig } from './config.ts';
import type { Logger } from './log.ts';
import { createLookups, type Lookups } from './lookup.ts';
import type { Seat } from './seat.ts';

/** What this process holds for one shard. */
export interface ShardLink {
  readonly index: number;
  readonly incarnation: string;
  readonly shard: Shard;
  /** Null in mode `answer`: then nothing is appended. */
  readonly writer: ShardWriter | null;
  readonly lookups: Lookups;
  /** Whoever is connected and belongs to this shard. */
  readonly seats: Set<Seat>;
  /** More waits to be appended than should: no new connections, and sockets are not read. */
  isPressed: boolean;
  /** Events accepted since the start. */
  accepted: number;
  /** The session as the shard's Redis last said; null before it did. */
  session: SessionState | null;
}

/** Connects to every shard, in the background. `onPressure` is told when a shard cannot keep up, and when it can. */
export function openLinks(
  { session, shards, mode, limits }: GatewayConfig,
  log: Logger,
  onPressure: (link: ShardLink, isPressed: boolean) => void,
): ShardLink[] {
  const lookups = createLookups();
  return shards.map(({ endpoint, incarnation }, index) => {
    const identity = { uid: session.uid, shard: index, shards: shards.length, incarnation };
    const shard = openShard({ endpoint, identity, name: `gateway-${process.pid}`, logger: log });
    const writer =
      mode === 'answer'
        ? null
        : createShardWriter({
            shard,
            logger: log,
            limits: { pendingEvents: limits.pendingEvents, pendingBytes: limits.pendingBytes },
            onPressure: (isPressed) => onPressure(link, isPressed),
          });
    const link: ShardLink = {
      index,
      incarnation,
      shard,
      writer,
      lookups,
      seats: new Set(),
      isPressed: false,
      accepted: 0,
      session: null,
    };
    return link;
  });
}

/** Lets go of every shard; what is not durable by now is not acknowledged. */
export async function closeLinks(links: readonly ShardLink[]): Promise<void> {
  for (const link of links) link.writer?.close();
  await Promise.all(links.map((link) => link.shard.close()));
}
