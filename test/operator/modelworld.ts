import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import type { AttemptPlan, Desired, DesiredQueue } from '#operator/plan.ts';
import type { AttemptObserved, AttemptState, GatewayObserved, Observed, Platform } from '#operator/platform.ts';
import type { QueueControl, QueueFacts, ShardFacts } from '#operator/queuecontrol.ts';
import type { SessionStatus } from '#operator/status.ts';
import type { SessionState } from '#queue/sessionfields.ts';

/**
 * A world small enough to crash everywhere: what survives a crash of the operator, what does not, and every rule that
 * must hold at each step. Used by the property test of the phase machine.
 */
export class Crash extends Error {}

interface ModelShard {
  incarnation: string | null;
  session: SessionState | null;
  sealed: boolean;
}

export interface World {
  /** ms; the shards' clocks are the same. */
  clock: number;
  session: ExamSession;
  generation: number;
  paused: boolean;
  everFinalizing: boolean;
  /** Steps until the operator crashes. */
  crashIn: number;
  /** How the next attempts end. */
  endings: Exclude<AttemptState, 'running'>[];
  status: SessionStatus | null;
  shards: { incarnation: string; born: boolean }[];
  redis: ModelShard[];
  attempts: { plan: AttemptPlan; state: AttemptState; endedAt: number | null }[];
  /** Shards whose Redis is down for now. */
  down: Set<number>;
  gateways: GatewayObserved[];
  running: boolean;
  statuses: SessionStatus[];
}

export function newWorld(spec: string): World {
  const session = readExamSession(
    `{apiVersion: untradex.io/v1alpha1, kind: ExamSession, metadata: {name: algebra}, spec: {${spec}}}`,
  );
  return {
    clock: 1_800_000_000_000,
    session,
    generation: 1,
    paused: false,
    everFinalizing: false,
    crashIn: Number.POSITIVE_INFINITY,
    endings: [],
    status: null,
    shards: [],
    redis: [],
    attempts: [],
    down: new Set(),
    gateways: [],
    running: false,
    statuses: [],
  };
}

const root = 'r'.repeat(64);

function rule(holds: boolean, what: string): void {
  if (!holds) throw new Error(`rule broken: ${what}`);
}

/** One step that a crash may come before. */
function step(world: World): void {
  world.crashIn -= 1;
  if (world.crashIn < 0) throw new Crash();
}

/** A step that changes something beside the status. */
function change(world: World): void {
  rule(!world.paused, 'nothing is changed while paused');
  step(world);
}

/** Loses what a crash loses: processes, and what the operator had in memory. */
export function crash(world: World): void {
  world.crashIn = Number.POSITIVE_INFINITY;
  world.gateways = [];
  world.running = false;
  const last = world.attempts.at(-1);
  if (last?.state === 'running') {
    last.state = 'failed';
    last.endedAt = world.clock;
  }
}

export function setPhase(world: World, phase: 'Active' | 'Finalizing'): void {
  world.session = { ...world.session, spec: { ...world.session.spec, phase } };
  world.generation += 1;
  if (phase === 'Finalizing') world.everFinalizing = true;
}

/** Time passes: gateways become ready, the attempt under way ends. */
export function pass(world: World, ms: number): void {
  world.clock += ms;
  world.gateways = world.gateways.map((gateway) => ({ ...gateway, ready: true }));
  const last = world.attempts.at(-1);
  if (last?.state === 'running') {
    last.state = world.endings.shift() ?? 'succeeded';
    last.endedAt = world.clock;
  }
}

export function modelPlatform(world: World): Platform {
  return {
    observe: async () => observe(world),
    async apply(desired) {
      applyShards(world, desired);
      applyGateways(world, desired);
      applyAttempt(world, desired);
    },
    async recordBorn(born) {
      change(world);
      for (const shard of born) world.shards[shard] = { ...world.shards[shard]!, born: true };
    },
    async writeStatus(status) {
      step(world);
      const before = world.status;
      if ((before?.sealing ?? null) !== null) rule(status.sealing === before!.sealing, 'sealing never changes');
      if (before?.redis.root != null) rule(status.redis.root === before.redis.root, 'the root never changes');
      if (status.sealing !== null) rule(!['Active', 'Provisioning', 'Pending'].includes(status.phase), 'no way back');
      world.status = structuredClone(status);
      world.statuses.push(status);
    },
    sample: async () => null,
    watch: () => () => {},
    async remove() {},
  };
}

function observe(world: World): Observed {
  return {
    place: 'cluster',
    session: world.session,
    generation: world.generation,
    editFault: null,
    paused: world.paused,
    roster: new Map(),
    identity: { uid: 'u', shards: world.shards.map((birth, shard) => ({ shard, ...birth })) },
    status: world.status,
    shards: world.shards.map((_, shard) => ({
      shard,
      running: world.running,
      endpoint: world.running ? { host: 'h', port: 1 } : null,
      maxmemoryBytes: 1,
      storage: null,
      fault: null,
    })),
    gateways: world.gateways,
    attempt: attemptOf(world),
    url: null,
    receiptPublicKey: '',
  };
}

function attemptOf(world: World): AttemptObserved | null {
  const last = world.attempts.at(-1);
  if (last === undefined) return null;
  const result = last.state === 'succeeded' ? { rows: 0, root, digest: '', report: '', rowsPerSecond: 0 } : null;
  const fault = { code: 'c', message: 'm', remedy: 'r' };
  return { ...last, step: 'load', rows: 0, total: 0, rowsPerSecond: 0, result, fault: result === null ? fault : null };
}

function applyShards(world: World, { shards }: Desired): void {
  if (shards.count > 0 && world.shards.length === 0) {
    change(world);
    world.shards = Array.from({ length: shards.count }, (_, i) => ({ incarnation: `i${i}`, born: false }));
    world.redis = world.shards.map(() => ({ incarnation: null, session: null, sealed: false }));
  }
  rule(shards.count === 0 || shards.count === world.shards.length, 'the number of shards never changes');
  if (!shards.running && world.running) {
    rule(world.attempts.at(-1)?.state === 'succeeded', 'Redis stops only after the proof');
  }
  change(world);
  world.running = shards.running && world.shards.length > 0;
}

function applyGateways(world: World, { gateways }: Desired): void {
  change(world);
  const kept = world.gateways.filter((gateway) => gateway.mode === gateways.mode).slice(0, gateways.replicas);
  while (kept.length < gateways.replicas) {
    rule(world.shards.length > 0 && world.shards.every((shard) => shard.born), 'gateways start when all is born');
    rule(
      world.redis.every((redis) => redis.session !== null),
      'gateways start when the session is written',
    );
    kept.push({ id: `g${kept.length}`, mode: gateways.mode, ready: false, fault: null });
  }
  if (gateways.mode === 'answer')
    rule(
      world.redis.every((redis) => redis.sealed),
      'answers only after the seal',
    );
  world.gateways = kept;
}

function applyAttempt(world: World, { attempt }: Desired): void {
  const last = world.attempts.at(-1);
  if (attempt === null || attempt.attempt <= (last?.plan.attempt ?? 0)) return;
  change(world);
  rule(attempt.attempt === (last?.plan.attempt ?? 0) + 1, 'attempts count without gaps');
  rule(last === undefined || last.state === 'failed' || last.state === 'blocked', 'one attempt at a time, none after');
  rule(attempt.root === root && attempt.witnesses.length === world.redis.length, 'an attempt knows what was sealed');
  rule(
    world.redis.every((redis) => redis.sealed),
    'the export begins after every seal',
  );
  world.attempts.push({ plan: attempt, state: 'running', endedAt: null });
}

export function modelQueue(world: World): QueueControl {
  return {
    async observe(): Promise<QueueFacts> {
      const shards = world.shards.map((_, shard) => factsOf(world, shard));
      const all = shards.length > 0 && shards.every((shard) => shard.time !== null);
      return { shards, now: all ? world.clock : null };
    },
    async apply(desired, observed, facts) {
      const born: number[] = [];
      if (desired === null) return { born, seal: null };
      for (const { shard, born: isBorn, incarnation } of observed.identity.shards) {
        if (!world.running || world.down.has(shard)) continue;
        if (!isBorn) {
          change(world);
          rule(!world.shards[shard]!.born, 'what is born is not initialised');
          world.redis[shard]!.incarnation ??= incarnation;
          rule(world.redis[shard]!.incarnation === incarnation, 'init meets its own incarnation');
        }
        change(world);
        world.redis[shard]!.session = { ...desired.session, full: false, deadlinesVersion: desired.deadlines.version };
        if (!isBorn) born.push(shard);
      }
      return { born, seal: sealAll(world, desired, facts) };
    },
    async close() {},
  };
}

function sealAll(world: World, desired: DesiredQueue, facts: QueueFacts) {
  if (!desired.seal || facts.shards.some((shard) => shard.phase !== 'ready')) return null;
  for (const redis of world.redis) {
    change(world);
    rule(world.everFinalizing, 'nobody asked for the seal');
    rule((world.status?.sealing ?? null) !== null, 'sealing is in the status before the first seal');
    redis.sealed = true;
  }
  return { witnesses: world.redis.map((_, shard) => witness(shard)), root };
}

function witness(shard: number) {
  return { shard, lastId: '1-1', events: 0, digest: '', incarnation: `i${shard}` };
}

function factsOf(world: World, shard: number): ShardFacts {
  const redis = world.redis[shard]!;
  const born = world.shards[shard]!.born;
  const up = world.running && !world.down.has(shard) && born;
  return {
    shard,
    phase: up ? 'ready' : born ? 'connecting' : 'unborn',
    fault: null,
    session: up ? redis.session : null,
    sealedAt: up && redis.sealed ? 1 : null,
    witness: up ? witness(shard) : null,
    seen: 0,
    finished: 0,
    memory: null,
    aofBytes: null,
    time: up ? world.clock : null,
  };
}
