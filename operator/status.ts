import { quantity } from './capacity.ts';
import { type ConditionType, conditions, type Facts, queueFaults } from './conditions.ts';
import type { AckMs, Observed, Sample } from './platform.ts';
import type { QueueFacts, ShardWitness } from './queuecontrol.ts';
import { type Seal, type Stage, sealOf } from './stage.ts';

/** A summary for people; programs look at the conditions. */
export const phases = ['Pending', 'Provisioning', 'Active', 'Draining', 'Exporting', 'Completed', 'Failed'] as const;
export type Phase = (typeof phases)[number];

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** When `status` last changed (ISO). */
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** What is known of a session, for users and for the operator's next pass. Without anything about single students. */
export interface SessionStatus {
  readonly name: string;
  readonly uid: string;
  readonly phase: Phase;
  readonly url: string | null;
  readonly observedGeneration: number;
  readonly conditions: readonly Condition[];
  readonly plan: {
    readonly replicas: number;
    readonly shards: number;
    readonly cpu: number;
    readonly memory: string;
    readonly storage: string;
    readonly why: readonly string[];
  };
  readonly students: {
    readonly expected: number;
    readonly connected: number;
    readonly seen: number;
    readonly finished: number;
  };
  readonly events: { readonly accepted: number; readonly durable: number; readonly exported: number };
  /** What each shard held when it was last seen; after the seal it is final, and `root` stands for all of it. */
  readonly redis: { readonly witnesses: readonly ShardWitness[]; readonly root: string | null };
  readonly export: ExportStatus | null;
  readonly ackMs: AckMs | null;
  readonly receiptPublicKey: string;
  /** When draining ends, by the shards' clocks (ms); null when not draining. */
  readonly drainUntil: number | null;
  /** When sealing was decided (ISO); written before the first seal. From then on there is no way back. */
  readonly sealing: string | null;
}

export interface ExportStatus {
  readonly attempt: number;
  readonly state: 'running' | 'succeeded' | 'failed' | 'blocked';
  readonly step: 'load' | 'publish' | 'verify';
  readonly rows: number;
  readonly total: number;
  readonly rowsPerSecond: number;
  /** SHA-256 of the report; null before. */
  readonly digest: string | null;
  readonly report: string | null;
  /** Since when a gateway tells students' devices that everything is verified (ISO); null before. */
  readonly toldAt: string | null;
}

/** What a pass did that the facts before it do not show. */
export interface PassOutcome {
  /** Made by the seal: final witnesses and the root. */
  readonly seal: Seal | null;
}

/** The status that follows from the facts of a pass and from what it did. Pure. */
export function statusOf(facts: Facts, sample: Sample | null, outcome: PassOutcome): SessionStatus {
  const { observed, queue, desired } = facts;
  const { session, status: before, identity } = observed;
  const durable = sum(queue.shards.map((shard) => shard.witness?.events ?? knownEvents(before, shard.shard)));
  return {
    name: session.metadata.name,
    uid: identity.uid,
    phase: phaseOf(facts),
    url: observed.url,
    observedGeneration: observed.generation,
    conditions: conditionsOf(facts),
    plan: {
      replicas: desired.capacity.replicas,
      shards: desired.capacity.shards,
      cpu: desired.capacity.cpu,
      memory: quantity(desired.capacity.memoryBytes),
      storage: quantity(desired.capacity.storageBytes),
      why: desired.capacity.why,
    },
    students: studentsOf(observed, queue, sample),
    events: {
      accepted: durable + (sample?.pendingEvents ?? 0),
      durable,
      exported: observed.attempt?.result?.rows ?? 0,
    },
    redis: outcome.seal ?? sealOf(observed) ?? { witnesses: witnessesOf(observed, queue), root: null },
    export: exportOf(facts),
    ackMs: sample?.ackMs ?? before?.ackMs ?? null,
    receiptPublicKey: observed.receiptPublicKey,
    drainUntil: desired.drainUntil,
    sealing: desired.sealing,
  };
}

const phaseOfStage = {
  Wait: 'Pending',
  Provision: 'Provisioning',
  Serve: 'Active',
  Drain: 'Draining',
  Seal: 'Draining',
  Export: 'Exporting',
  Linger: 'Completed',
  Done: 'Completed',
} as const satisfies Record<Stage, Phase>;

/**
 * Failed: the session cannot get to its next phase until a person mends something. While students answer (Serve) a
 * broken shard is Degraded instead, since the others go on.
 */
function phaseOf(facts: Facts): Phase {
  const { desired, observed } = facts;
  const { stage } = desired;
  // Nothing moves on meanwhile, whatever is wished.
  if (observed.paused && observed.status !== null) return observed.status.phase;
  const needsQueue = stage === 'Provision' || stage === 'Drain' || stage === 'Seal' || stage === 'Export';
  if (needsQueue && queueFaults(facts).length > 0) return 'Failed';
  if (stage === 'Export' && observed.attempt?.state === 'blocked' && desired.attempt === null) return 'Failed';
  const dead = observed.gateways.length > 0 && observed.gateways.every((gateway) => gateway.fault !== null);
  if (stage === 'Provision' && dead) return 'Failed';
  return phaseOfStage[stage];
}

function conditionsOf(facts: Facts): Condition[] {
  const before = facts.observed.status?.conditions ?? [];
  return (Object.keys(conditions) as ConditionType[]).map((type) => {
    const verdict = conditions[type](facts);
    const known = before.find((condition) => condition.type === type);
    const lastTransitionTime =
      known?.status === verdict.status ? known.lastTransitionTime : new Date(facts.now).toISOString();
    return { type, ...verdict, lastTransitionTime, observedGeneration: facts.observed.generation };
  });
}

/** Counts of a queue that cannot be asked stay as they were last known. */
function studentsOf(observed: Observed, queue: QueueFacts, sample: Sample | null): SessionStatus['students'] {
  const known = observed.status?.students;
  const all = queue.shards.length > 0 && queue.shards.every((shard) => shard.witness !== null);
  return {
    expected: observed.session.spec.students,
    connected: sample?.students ?? 0,
    seen: all ? sum(queue.shards.map((shard) => shard.seen)) : (known?.seen ?? 0),
    finished: all ? sum(queue.shards.map((shard) => shard.finished)) : (known?.finished ?? 0),
  };
}

/** A witness is forgotten only with its incarnation. */
function witnessesOf({ status, identity }: Observed, queue: QueueFacts): readonly ShardWitness[] {
  const known = status?.redis.witnesses ?? [];
  if (queue.shards.length === 0) return known;
  return queue.shards.flatMap(({ shard, witness }) => {
    const { incarnation } = identity.shards[shard] ?? {};
    const seen = witness ?? known.find((old) => old.shard === shard && old.incarnation === incarnation);
    return seen === undefined ? [] : [seen];
  });
}

function knownEvents(before: SessionStatus | null, shard: number): number {
  return before?.redis.witnesses.find((witness) => witness.shard === shard)?.events ?? 0;
}

function exportOf({ observed, queue, desired, now }: Facts): ExportStatus | null {
  const { attempt, status } = observed;
  if (attempt === null) return null;
  const tells =
    desired.stage === 'Linger' &&
    observed.gateways.some((gateway) => gateway.ready && gateway.mode === 'answer') &&
    queue.shards.length > 0 &&
    queue.shards.every((shard) => shard.session?.verified != null);
  return {
    attempt: attempt.plan.attempt,
    state: attempt.state,
    step: attempt.step,
    rows: attempt.result?.rows ?? attempt.rows,
    total: attempt.total,
    rowsPerSecond: attempt.result?.rowsPerSecond ?? attempt.rowsPerSecond,
    digest: attempt.result?.digest ?? null,
    report: attempt.result?.report ?? null,
    toldAt: status?.export?.toldAt ?? (tells ? new Date(now).toISOString() : null),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
