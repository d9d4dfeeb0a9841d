import { isDeepStrictEqual } from 'node:util';
import type { Fault } from '../platform.ts';
import type { Condition, SessionStatus } from '../status.ts';
import type { SessionRef } from './names.ts';

/** What stands in a status beside what the reconciler makes of the facts. Pure. */

export interface TroubleInput {
  readonly ref: SessionRef;
  readonly generation: number;
  /** As it stands now; null when there is none. */
  readonly known: SessionStatus | null;
  /** ms since 1970. */
  readonly now: number;
}

/** The session as it was first given is not admissible: nothing is made of it, so it may be deleted. */
export function refusedStatus(input: TroubleInput, fault: Fault): SessionStatus {
  const message = `Nothing is made of the session before it is mended: ${told(fault)}`;
  return withCondition(input, 'Pending', { type: 'Accepted', status: 'False', reason: 'Invalid', message });
}

/** It was paused before anything was made of it, so it may be deleted. */
export function pausedStatus(input: TroubleInput): SessionStatus {
  const message = 'Nothing is made of the session. What to do: remove the annotation untradex.io/paused.';
  return withCondition(input, 'Pending', { type: 'Paused', status: 'True', reason: 'Asked', message });
}

/** Passes fail; what runs goes on as it is. */
export function troubledStatus(input: TroubleInput, fault: Fault): SessionStatus {
  const message = `The operator cannot look after the session: ${told(fault)}`;
  return withCondition(input, 'Failed', { type: 'Degraded', status: 'True', reason: reasonOf(fault), message });
}

/** It is being deleted. `fault`: why that does not end. */
export function deletingStatus(input: TroubleInput, waitsFor: string, fault: Fault | null): SessionStatus {
  const message =
    fault === null
      ? `The session is being deleted; waiting for ${waitsFor}.`
      : `The session cannot be deleted: ${told(fault)}`;
  const ended = (type: 'Ready' | 'GatewayReady' | 'QueueReady') =>
    ({ type, status: 'False', reason: 'Deleting', message }) as const;
  let known = withCondition(input, 'Failed', ended('Ready'));
  for (const type of ['GatewayReady', 'QueueReady'] as const) {
    known = withCondition({ ...input, known }, 'Failed', ended(type));
  }
  if (fault === null) return { ...known, url: null };
  const degraded = { type: 'Degraded', status: 'True', reason: reasonOf(fault), message } as const;
  return { ...withCondition({ ...input, known }, 'Failed', degraded), url: null };
}

type Verdict = Omit<Condition, 'lastTransitionTime' | 'observedGeneration'>;

function withCondition(input: TroubleInput, first: SessionStatus['phase'], verdict: Verdict): SessionStatus {
  const { generation: observedGeneration, now } = input;
  const known = input.known ?? { ...nothingKnown(input), phase: first };
  const old = known.conditions.find(({ type }) => type === verdict.type);
  const lastTransitionTime = old?.status === verdict.status ? old.lastTransitionTime : new Date(now).toISOString();
  const condition = { ...verdict, lastTransitionTime, observedGeneration };
  const others = known.conditions.filter(({ type }) => type !== verdict.type);
  const at = old === undefined ? others.length : known.conditions.indexOf(old);
  return { ...known, observedGeneration, conditions: others.toSpliced(at, 0, condition) };
}

function nothingKnown({ ref, generation }: TroubleInput): SessionStatus {
  return {
    ...{ name: ref.name, uid: ref.uid, phase: 'Failed', url: null, observedGeneration: generation, conditions: [] },
    plan: { replicas: 0, shards: 0, cpu: 0, memory: '0', storage: '0', why: [] },
    students: { expected: 0, connected: 0, seen: 0, finished: 0 },
    events: { accepted: 0, durable: 0, exported: 0 },
    redis: { witnesses: [], root: null },
    ...{ export: null, ackMs: null, receiptPublicKey: '', drainUntil: null, sealing: null },
  };
}

function told({ message, remedy }: Fault): string {
  return `${message}. What to do: ${remedy}`;
}

/** `identity_lost` as `IdentityLost`, as reasons of conditions and events are written. */
export function reasonOf({ code }: Fault): string {
  return code.replaceAll(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Nothing differs but counts, and words that tell them: worth a write now and then only. */
export function differsInCountsOnly(before: SessionStatus, after: SessionStatus): boolean {
  return isDeepStrictEqual(withoutCounts(before), withoutCounts(after));
}

function withoutCounts({ students, events, ackMs, ...status }: SessionStatus): object {
  const { root, witnesses } = status.redis;
  return {
    ...status,
    expected: students.expected,
    exported: events.exported,
    conditions: status.conditions.map(({ message: _, ...condition }) => condition),
    // What a shard held before its seal is a count as well; which shards there are is none.
    redis: {
      root,
      witnesses: root === null ? witnesses.map(({ shard, incarnation }) => [shard, incarnation]) : witnesses,
    },
    export: status.export && { ...status.export, rows: 0, total: 0, rowsPerSecond: 0 },
  };
}
