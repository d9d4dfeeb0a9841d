import type { SessionState } from '#queue/sessionfields.ts';
import { nextAttempt } from './attempt.ts';
import { type Capacity, capacityOf } from './capacity.ts';
import { type Deadlines, deadlinesOf } from './deadlines.ts';
import { examName } from './examsession.ts';
import type { GatewayMode, Observed } from './platform.ts';
import type { QueueFacts, ShardFacts, ShardWitness } from './queuecontrol.ts';
import type { Settings } from './settings.ts';
import { isBorn, isFinalizing, provisionAt, type Stage, sealOf, stageOf } from './stage.ts';

/** What should exist, and what the queue should be told. Made by {@link planSession} from facts alone. */
export interface Desired {
  readonly stage: Stage;
  readonly capacity: Capacity;
  readonly shards: DesiredShards;
  readonly gateways: DesiredGateways;
  /** Null: the queue is not to be spoken to. */
  readonly queue: DesiredQueue | null;
  /** The attempt that should be under way; null for none. */
  readonly attempt: AttemptPlan | null;
  /** When draining ends and the seal may come, by the shards' clocks (ms); null when not draining. */
  readonly drainUntil: number | null;
  /** When sealing was decided (ISO). It is written to the status before any shard is sealed. */
  readonly sealing: string | null;
  /** The next pass comes at the latest after this; null when only an event brings one. */
  readonly requeueAfterMs: number | null;
}

export interface DesiredShards {
  /** How many there are to be. 0: none is made yet. Those that exist are never removed, only stopped. */
  readonly count: number;
  readonly running: boolean;
  /** Shards to be made anew under another incarnation, empty; what is left of their old data is put aside. */
  readonly refill: readonly number[];
  readonly maxmemoryBytes: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly cpu: number;
}

export interface DesiredGateways {
  readonly replicas: number;
  /** Leave those that run as they are, whatever they were configured with: a shard is just being made anew. */
  readonly hold: boolean;
  readonly mode: GatewayMode;
  readonly connections: number;
  readonly memoryBytes: number;
  readonly cpu: number;
}

export interface DesiredQueue {
  /** Who the session is; what `init` writes. */
  readonly uid: string;
  readonly exam: string;
  /** For every shard's hash `session`. */
  readonly session: Omit<SessionState, 'full' | 'deadlinesVersion'>;
  readonly deadlines: Deadlines;
  /** Shards that refuse new events because memory or storage is nearly used up. */
  readonly full: ReadonlySet<number>;
  /** Seal every shard and compute the root. */
  readonly seal: boolean;
}

/** One try to export. Frozen when it begins: a later edit of the session is for the next attempt. */
export interface AttemptPlan {
  readonly attempt: number;
  /** The generation of the session that it was made from. */
  readonly generation: number;
  readonly session: { readonly name: string; readonly uid: string; readonly exam: string; readonly rehearsal: boolean };
  readonly table: string;
  readonly batchRows: number;
  readonly witnesses: readonly ShardWitness[];
  readonly root: string;
}

/**
 * Decides what should be, from what is. Pure: the same facts give the same plan, so an operator that was killed
 * anywhere goes on by looking.
 */
export function planSession(observed: Observed, queue: QueueFacts, now: number, settings: Settings): Desired {
  const { session, identity } = observed;
  const capacity = capacityOf(session.spec, identity.shards.length || null, settings.capacity);
  const deadlines = deadlinesOf(session.spec, observed.roster);
  const stage = stageOf(observed, queue, deadlines, now, settings);
  // While paused nothing is decided that a later pass would hold on to.
  const known = observed.status;
  const drainUntil = observed.paused ? (known?.drainUntil ?? null) : drainUntilOf(stage, observed, queue, deadlines);
  const sealing = observed.paused ? (known?.sealing ?? null) : sealingOf(stage, observed, queue, drainUntil, now);
  const next = stage === 'Export' ? nextAttempt(observed.attempt, observed.generation, now, settings) : null;
  const retryAt = next !== null && 'waitUntil' in next ? next.waitUntil : null;
  const times = { now, drainUntil, retryAt, lastDeadline: deadlines.last };
  return {
    stage,
    capacity,
    shards: shardsFor(stage, observed, queue, capacity),
    gateways: gatewaysFor(stage, observed, capacity),
    queue: queueFor(stage, observed, queue, deadlines, drainUntil, settings),
    attempt: next !== null && 'attempt' in next ? attemptPlan(observed, next.attempt) : null,
    drainUntil,
    sealing,
    requeueAfterMs: requeueAfter(stage, observed, queue, times, settings),
  };
}

function shardsFor(stage: Stage, observed: Observed, queue: QueueFacts, capacity: Capacity): DesiredShards {
  const { maxmemoryBytes, ...rest } = capacity.redis;
  const { shards } = observed;
  return {
    refill: isSealedOrOver(stage) ? [] : refillOf(observed, queue),
    count: stage === 'Wait' ? 0 : capacity.shards,
    running: stage !== 'Wait' && stage !== 'Done',
    // Lowering it under what is stored would make Redis refuse everything.
    maxmemoryBytes: Math.max(maxmemoryBytes, ...shards.map((shard) => shard.maxmemoryBytes)),
    memoryBytes: rest.memoryBytes,
    storageBytes: rest.storageBytes,
    cpu: rest.cpu,
  };
}

/** Made anew is only what an admin gives up by its incarnation, and what does not work: an entry that stays does no harm. */
function refillOf({ session, identity }: Observed, queue: QueueFacts): number[] {
  const isGone = (shard: number) =>
    queue.shards.some((facts) => facts.shard === shard && (facts.phase === 'refused' || facts.phase === 'lost'));
  return session.spec.redis.refill.flatMap(({ shard, incarnation }) =>
    identity.shards[shard]?.incarnation === incarnation && identity.shards[shard].born && isGone(shard) ? [shard] : [],
  );
}

/** Once all is sealed nothing could fill a shard again. */
function isSealedOrOver(stage: Stage): boolean {
  return stage === 'Export' || stage === 'Linger' || stage === 'Done';
}

/** Gateways start when every shard is born, so that none meets an empty Redis. After the seal one answers alone. */
function gatewaysFor(stage: Stage, observed: Observed, capacity: Capacity): DesiredGateways {
  const { connections, memoryBytes, cpu } = capacity.gateway;
  const serving = stage === 'Provision' || stage === 'Serve' || stage === 'Drain' || stage === 'Seal';
  const answering = stage === 'Export' || stage === 'Linger';
  const hold = serving && !isBorn(observed) && observed.gateways.length > 0;
  const replicas = serving && (isBorn(observed) || hold) ? capacity.replicas : answering ? 1 : 0;
  return { replicas, hold, mode: answering ? 'answer' : 'serve', connections, memoryBytes, cpu };
}

const phaseOfStage = {
  Wait: 'Active',
  Provision: 'Active',
  Serve: 'Active',
  Drain: 'Draining',
  Seal: 'Draining',
  Export: 'Exporting',
  Linger: 'Completed',
  Done: 'Completed',
} as const satisfies Record<Stage, SessionState['phase']>;

function queueFor(
  stage: Stage,
  observed: Observed,
  queue: QueueFacts,
  deadlines: Deadlines,
  drainUntil: number | null,
  settings: Settings,
): DesiredQueue | null {
  if (stage === 'Wait' || stage === 'Done') return null;
  const { session, identity, attempt } = observed;
  const blocked = stage === 'Export' && attempt?.state === 'blocked';
  return {
    uid: identity.uid,
    exam: examName(session),
    session: {
      phase: blocked ? 'Failed' : phaseOfStage[stage],
      closesAt: deadlines.closesAt,
      graceMs: session.spec.graceSeconds * 1_000,
      late: session.spec.late,
      drainUntil,
      verified: stage === 'Linger' ? (attempt?.result?.root ?? null) : null,
      notice: null,
      rehearsal: session.spec.rehearsal,
    },
    deadlines,
    full: new Set(queue.shards.filter((shard) => isFull(shard, observed, settings)).map((shard) => shard.shard)),
    // Only when it was read back: whatever happens then, nobody believes that there is a way back.
    seal: stage === 'Seal' && (observed.status?.sealing ?? null) !== null,
  };
}

/** Above the mark a shard is full; it is no longer only when well below, so that it does not flap. */
function isFull(facts: ShardFacts, observed: Observed, settings: Settings): boolean {
  const mark = facts.session?.full === true ? settings.notFullBelow : settings.fullAbove;
  return fillOf(facts, observed) > mark;
}

/** How full a shard is: the larger fraction of its memory and its storage, 0 to 1. */
export function fillOf(facts: ShardFacts, observed: Observed): number {
  const storage = observed.shards.find((shard) => shard.shard === facts.shard)?.storage ?? null;
  const usedBytes = storage?.usedBytes ?? facts.aofBytes ?? 0;
  const ofStorage = storage === null ? 0 : usedBytes / Math.max(1, storage.capacityBytes);
  const ofMemory = facts.memory === null ? 0 : facts.memory.usedBytes / Math.max(1, facts.memory.maxBytes);
  return Math.max(ofStorage, ofMemory);
}

/**
 * When draining ends: as the status says, else as the shards were told (a status may be lost), else a grace from now.
 * At autoFinalize the grace is the one that the deadline has anyway.
 */
function drainUntilOf(stage: Stage, observed: Observed, queue: QueueFacts, deadlines: Deadlines): number | null {
  if (stage === 'Seal') return observed.status?.drainUntil ?? told(queue);
  if (stage !== 'Drain') return null;
  const known = observed.status?.drainUntil ?? told(queue);
  if (known !== null || queue.now === null || !isFinalizing(observed, queue, deadlines)) return known;
  return queue.now + observed.session.spec.graceSeconds * 1_000;
}

function told(queue: QueueFacts): number | null {
  const times = queue.shards.flatMap(({ session }) =>
    session?.phase === 'Draining' && session.drainUntil !== null ? [session.drainUntil] : [],
  );
  return times.length === 0 ? null : Math.max(...times);
}

/** Sealing is decided once every shard has told its clients, and the grace is over by every shard's clock. */
function sealingOf(
  stage: Stage,
  { status }: Observed,
  queue: QueueFacts,
  drainUntil: number | null,
  now: number,
): string | null {
  const decided = status?.sealing ?? null;
  if (decided !== null) return decided;
  if (stage === 'Drain') {
    const allTold = queue.shards.every(
      ({ phase, session }) => phase === 'ready' && session?.phase === 'Draining' && session.drainUntil === drainUntil,
    );
    const over = drainUntil !== null && queue.now !== null && queue.now >= drainUntil;
    return allTold && over ? new Date(now).toISOString() : null;
  }
  // It is sealed though the status does not say so (it was lost): the seal wins.
  return stage === 'Seal' || isSealedOrOver(stage) ? new Date(now).toISOString() : null;
}

function attemptPlan(observed: Observed, attempt: number): AttemptPlan {
  const { session, generation, identity } = observed;
  const { rehearsal } = session.spec;
  const { root, witnesses } = sealOf(observed)!;
  return {
    attempt,
    generation,
    session: { name: session.metadata.name, uid: identity.uid, exam: examName(session), rehearsal },
    table: session.spec.export.table,
    batchRows: session.spec.export.batchRows,
    witnesses,
    root,
  };
}

/** When the next pass comes if nothing tells before. A pass that moved the session on is followed by one at once anyway. */
function requeueAfter(
  stage: Stage,
  observed: Observed,
  queue: QueueFacts,
  times: { now: number; drainUntil: number | null; retryAt: number | null; lastDeadline: number | null },
  settings: Settings,
): number | null {
  const { session } = observed;
  const wait = settings.waitSeconds * 1_000;
  if (observed.paused) return settings.passSeconds * 1_000;
  const until = (time: number | null, clock: number | null, most: number) =>
    time === null || clock === null ? most : Math.min(Math.max(time - clock, 10), most);
  switch (stage) {
    case 'Done':
      return null;
    case 'Wait':
      // A day at a time: timers overflow, and clocks are set.
      return until(provisionAt(session), times.now, 86_400_000);
    case 'Serve':
      return until(session.spec.autoFinalize ? times.lastDeadline : null, queue.now, settings.passSeconds * 1_000);
    case 'Provision':
      return isBorn(observed) ? wait : Math.min(settings.startSeconds * 1_000, wait);
    case 'Drain':
      return until(times.drainUntil, queue.now, wait);
    case 'Export':
      return until(times.retryAt, times.now, wait);
    default:
      return wait;
  }
}
