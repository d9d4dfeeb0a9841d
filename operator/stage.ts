import type { Deadlines } from './deadlines.ts';
import type { Observed } from './platform.ts';
import type { QueueFacts, ShardWitness } from './queuecontrol.ts';
import type { Settings } from './settings.ts';

/**
 * Where a session is in its life, judged from what is there and nothing else:
 *
 *     Wait ─▶ Provision ─▶ Serve ─▶ Drain ─▶ Seal ─▶ Export ─▶ Linger ─▶ Done
 *                  ◀───────────  ◀─────
 *
 * - **Wait**: nothing was made, and `opensAt` less the lead is still ahead.
 * - **Provision**: shards are made and initialised, then gateways start. Also after a start of the operator, or when
 *   no gateway is left, until students can connect again.
 * - **Serve**: students answer. Left for Provision only when no gateway at all is ready: one that died is an incident,
 *   not a phase.
 * - **Drain**: finalizing is wanted, by the spec or by autoFinalize at the last student's deadline. Clients are told,
 *   and a grace begins. Taking the wish back leads back to Serve.
 * - **Seal**: `status.sealing` is set, which is written before the first seal; or a shard is sealed, whatever the
 *   status says: a seal wins. There is no way back.
 * - **Export**: all shards are sealed, and witnesses and root stand in the status.
 * - **Linger**: the export was verified. A gateway tells it to the students' devices for a while.
 * - **Done**: nothing needs to run.
 *
 * Deadlines are compared with the shards' own clocks, the same that judge lateness: a skewed clock here seals nothing.
 */
export const stages = ['Wait', 'Provision', 'Serve', 'Drain', 'Seal', 'Export', 'Linger', 'Done'] as const;
export type Stage = (typeof stages)[number];

export function stageOf(
  observed: Observed,
  queue: QueueFacts,
  deadlines: Deadlines,
  now: number,
  settings: Settings,
): Stage {
  const { status, session, identity } = observed;
  if (observed.attempt?.state === 'succeeded') return wasTold(observed, now, settings) ? 'Done' : 'Linger';
  if (sealOf(observed) !== null) return 'Export';
  if ((status?.sealing ?? null) !== null || queue.shards.some((shard) => shard.sealedAt !== null)) return 'Seal';
  const finalizing = isFinalizing(observed, queue, deadlines);
  if (!isBorn(observed))
    return identity.shards.length === 0 && !finalizing && isEarly(session, now) ? 'Wait' : 'Provision';
  if (finalizing) return 'Drain';
  return isServing(observed, queue) ? 'Serve' : 'Provision';
}

/** What all shards were sealed with; null before. An attempt has a copy, for a status that was lost. */
export function sealOf({ status, attempt }: Observed): Seal | null {
  const { root = null, witnesses = [] } = status?.redis ?? {};
  if (root !== null) return { root, witnesses };
  return attempt === null ? null : { root: attempt.plan.root, witnesses: attempt.plan.witnesses };
}

export interface Seal {
  /** Over all writers of all shards. */
  readonly root: string;
  readonly witnesses: readonly ShardWitness[];
}

/** When a waiting session is provisioned, ms since 1970. */
export function provisionAt(session: Observed['session']): number {
  const { opensAt, provisionLeadMinutes } = session.spec;
  return opensAt === undefined ? 0 : Date.parse(opensAt) - provisionLeadMinutes * 60_000;
}

/** The admin asks for it, or autoFinalize does since the last deadline has passed by the shards' clocks. */
export function isFinalizing({ session }: Observed, queue: QueueFacts, deadlines: Deadlines): boolean {
  const { phase, autoFinalize } = session.spec;
  if (phase === 'Finalizing') return true;
  return autoFinalize && deadlines.last !== null && queue.now !== null && queue.now >= deadlines.last;
}

export function isBorn({ identity }: Observed): boolean {
  return identity.shards.length > 0 && identity.shards.every((shard) => shard.born);
}

/** Gateways that take answers and are ready. */
export function readyGateways(observed: Observed): number {
  return observed.gateways.filter((gateway) => gateway.ready && gateway.mode === 'serve').length;
}

export function isQueueReady(observed: Observed, queue: QueueFacts): boolean {
  return isBorn(observed) && queue.shards.length > 0 && queue.shards.every((shard) => shard.phase === 'ready');
}

function isEarly(session: Observed['session'], now: number): boolean {
  return now < provisionAt(session);
}

function isServing(observed: Observed, queue: QueueFacts): boolean {
  const ready = readyGateways(observed);
  if (observed.status?.phase === 'Active') return ready > 0;
  return isQueueReady(observed, queue) && ready > 0 && ready === observed.gateways.length;
}

function wasTold({ status, attempt }: Observed, now: number, settings: Settings): boolean {
  const toldAt = status?.export?.toldAt ?? null;
  if (toldAt !== null && now >= Date.parse(toldAt) + settings.verifiedLingerSeconds * 1_000) return true;
  return now >= (attempt?.endedAt ?? now) + settings.verifiedMostSeconds * 1_000;
}
