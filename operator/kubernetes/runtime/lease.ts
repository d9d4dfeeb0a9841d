import { type KubeObject, microTime, type ObjectMeta } from './object.ts';

/** What a Lease says, as far as an election goes by it. */
export interface LeaseRecord {
  /** Empty when it was given back. */
  readonly holder: string;
  readonly leaseMs: number;
  /** How often it went to another holder. */
  readonly transitions: number;
  /** Written by the holder's clock, so it is only compared with itself: the same text means no renewal. */
  readonly renewTime: string;
}

/** A record, and since when (by our own clock) we have seen it as it is. */
export interface Observation {
  /** Null: there is no Lease. */
  readonly record: LeaseRecord | null;
  readonly since: number;
  /** How long it has to stay as it is before it may be taken. */
  readonly patienceMs: number;
}

export interface LeaseTimes {
  /** Others wait so long after the last renewal that they saw. */
  readonly leaseMs: number;
  /** A leader counts itself as one for so long after it sent its last good renewal; less than `leaseMs`. */
  readonly renewMs: number;
}

/** What a candidate does about what it sees. `lost`: it led, and somebody else has the lease. */
export type Decision = 'create' | 'take' | 'renew' | 'wait' | 'lost';

/**
 * Whoever does not hold the lease judges by its own clock since it last saw the record change, and never by the
 * times in it: clocks of machines differ. A record is believed for as long as its holder asked for; so is one that
 * somebody deleted, as its holder may not know yet.
 */
export function observe(before: Observation | null, record: LeaseRecord | null, now: number): Observation {
  if (before !== null && isSame(before.record, record)) return before;
  if (record === null) return { record, since: now, patienceMs: before?.patienceMs ?? 0 };
  return { record, since: now, patienceMs: record.holder === '' ? 0 : record.leaseMs };
}

export function decide(seen: Observation, me: string, leading: boolean, now: number): Decision {
  const { record, since, patienceMs } = seen;
  const mine = record?.holder === me;
  if (leading) return record === null ? 'create' : mine ? 'renew' : 'lost';
  if (!mine && now - since < patienceMs) return 'wait';
  return record === null ? 'create' : 'take';
}

export interface Claim {
  readonly identity: string;
  readonly leaseMs: number;
  /** A taking, and no renewal. */
  readonly isNew: boolean;
  readonly unixMs: number;
}

/** The record that a taking or a renewal writes. */
export function claimed(before: LeaseRecord | null, { identity, leaseMs, isNew, unixMs }: Claim): LeaseRecord {
  const transitions = before === null ? 0 : before.transitions + (isNew ? 1 : 0);
  return { holder: identity, leaseMs, transitions, renewTime: microTime(unixMs) };
}

/** Until when who sent a good taking or renewal at `sentAt` surely holds the lease, and may write. */
export function heldUntil(sentAt: number, { renewMs }: LeaseTimes): number {
  return sentAt + renewMs;
}

/** Who gives the lease back leaves its name out, so that others need not wait. */
export function released(before: LeaseRecord, unixMs: number): LeaseRecord {
  return { ...before, holder: '', renewTime: microTime(unixMs) };
}

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly leaseTransitions?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
}

/** `leaseMs` is for a Lease that somebody made by hand and left that out. */
export function readLease(lease: KubeObject, leaseMs: number): LeaseRecord {
  const spec = (lease.spec ?? {}) as LeaseSpec;
  return {
    holder: spec.holderIdentity ?? '',
    leaseMs: spec.leaseDurationSeconds ? spec.leaseDurationSeconds * 1_000 : leaseMs,
    transitions: spec.leaseTransitions ?? 0,
    renewTime: spec.renewTime ?? '',
  };
}

/** `before`: the Lease as it was read; what is not ours in it stays. Null: it is made, with this metadata. */
export function writeLease(metadata: ObjectMeta, before: KubeObject | null, record: LeaseRecord): KubeObject {
  const old = (before?.spec ?? {}) as LeaseSpec;
  const changesHands = old.holderIdentity !== record.holder;
  const spec: LeaseSpec = {
    ...old,
    holderIdentity: record.holder,
    leaseDurationSeconds: Math.ceil(record.leaseMs / 1_000),
    leaseTransitions: record.transitions,
    acquireTime: changesHands ? record.renewTime : (old.acquireTime ?? record.renewTime),
    renewTime: record.renewTime,
  };
  return { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: before?.metadata ?? metadata, spec };
}

function isSame(one: LeaseRecord | null, other: LeaseRecord | null): boolean {
  if (one === null || other === null) return one === other;
  return one.holder === other.holder && one.renewTime === other.renewTime && one.transitions === other.transitions;
}
