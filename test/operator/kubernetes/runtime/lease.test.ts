import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  claimed,
  decide,
  heldUntil,
  type LeaseRecord,
  type Observation,
  observe,
  readLease,
  writeLease,
} from '#operator/kubernetes/runtime/lease.ts';

const times = { leaseMs: 15_000, renewMs: 10_000 };
const place = { namespace: 'default', name: 'operator' };

function record(holder: string, renewTime = 'a'): LeaseRecord {
  return { holder, leaseMs: times.leaseMs, transitions: 0, renewTime };
}

describe('a standby', () => {
  test.each([
    { what: 'makes a lease that never was', seen: null, after: 0, does: 'create' },
    { what: 'takes one that was given back', seen: record(''), after: 0, does: 'take' },
    { what: 'takes one that still bears its own name', seen: record('me'), after: 0, does: 'take' },
    { what: 'waits while another may hold it', seen: record('other'), after: 14_999, does: 'wait' },
    { what: 'takes one that did not change for its whole time', seen: record('other'), after: 15_000, does: 'take' },
  ])('$what', ({ seen, after, does }) => {
    expect(decide(observe(null, seen, 1_000), 'me', false, 1_000 + after)).toBe(does);
  });

  test('begins to wait again with each change', () => {
    const first = observe(null, record('other', 'a'), 0);
    const same = observe(first, record('other', 'a'), 14_000);
    expect(decide(same, 'me', false, 15_000)).toBe('take');
    expect(decide(observe(first, record('other', 'b'), 14_000), 'me', false, 15_000)).toBe('wait');
  });

  test('gives the holder of a deleted lease the time to notice', () => {
    const gone = observe(observe(null, record('other'), 0), null, 5_000);
    expect(decide(gone, 'me', false, 19_999)).toBe('wait');
    expect(decide(gone, 'me', false, 20_000)).toBe('create');
  });
});

describe('a leader', () => {
  test('renews its own lease, and makes it again when it was deleted', () => {
    expect(decide(observe(null, record('me'), 0), 'me', true, 99_999)).toBe('renew');
    expect(decide(observe(null, null, 0), 'me', true, 0)).toBe('create');
  });

  test('has lost one with another name, or none, in it', () => {
    expect(decide(observe(null, record('other'), 0), 'me', true, 99_999)).toBe('lost');
    expect(decide(observe(null, record(''), 0), 'me', true, 0)).toBe('lost');
  });
});

test('a lease is written with six decimals, keeps what others wrote, and is read back', () => {
  const claim = claimed(record('other'), { identity: 'me', leaseMs: 15_000, isNew: true, unixMs: 0 });
  const metadata = { ...place, resourceVersion: '7', labels: { a: 'b' } };
  const before = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: { strategy: 'x' } };
  const lease = writeLease(place, before, claim);
  expect(lease.metadata).toEqual(metadata);
  expect(lease.spec).toEqual({
    ...{ strategy: 'x', holderIdentity: 'me', leaseDurationSeconds: 15, leaseTransitions: 1 },
    ...{ acquireTime: '1970-01-01T00:00:00.000000Z', renewTime: '1970-01-01T00:00:00.000000Z' },
  });
  expect(readLease(lease, 1)).toEqual(claim);
});

/**
 * Candidates on machines whose clocks show other times, each of which reads, is held up, and writes what it decided
 * when it read, as long as nobody wrote since. Every moment belongs to one leader at most, by the true time.
 */
interface Candidate {
  readonly name: string;
  readonly clockAhead: number;
  seen: Observation | null;
  heldUntil: number;
  plan: { readonly record: LeaseRecord; readonly version: number; readonly sentAt: number } | null;
}

interface Step {
  readonly who: number;
  readonly does: 'read' | 'write' | 'both';
  readonly afterMs: number;
}

function play(clocksAhead: readonly number[], steps: readonly Step[]) {
  const server = { record: null as LeaseRecord | null, version: 0 };
  const candidates = clocksAhead.map((clockAhead, i): Candidate => {
    return { name: `c${i}`, clockAhead, seen: null, heldUntil: -Infinity, plan: null };
  });
  let now = 0;
  let led = 0;
  for (const { who, does, afterMs } of steps) {
    now += afterMs;
    const candidate = candidates[who % candidates.length]!;
    const clock = now + candidate.clockAhead;
    if (does !== 'write') read(candidate, server, clock, now);
    if (does !== 'read' && candidate.plan?.version === server.version) {
      server.record = candidate.plan.record;
      server.version += 1;
      candidate.heldUntil = heldUntil(candidate.plan.sentAt, times);
      candidate.plan = null;
    }
    const leaders = candidates.filter((one) => now + one.clockAhead < one.heldUntil);
    expect(leaders.length, `leaders at ${now}: ${leaders.map(({ name }) => name)}`).toBeLessThanOrEqual(1);
    led += leaders.length;
  }
  return led;
}

type Server = { readonly record: LeaseRecord | null; readonly version: number };

function read(candidate: Candidate, { record, version }: Server, clock: number, now: number): void {
  const leading = clock < candidate.heldUntil;
  candidate.seen = observe(candidate.seen, record, clock);
  const decision = decide(candidate.seen, candidate.name, leading, clock);
  if (decision === 'lost') candidate.heldUntil = -Infinity;
  candidate.plan = null;
  if (decision === 'lost' || decision === 'wait') return;
  const claim = { identity: candidate.name, leaseMs: times.leaseMs, isNew: decision !== 'renew', unixMs: now };
  candidate.plan = { record: claimed(record, claim), version, sentAt: clock };
}

const step = fc.record<Step>({
  who: fc.nat(5),
  does: fc.constantFrom('read', 'write', 'both', 'both'),
  // Mostly at once, and around the times that count.
  afterMs: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(0, 0, 1) },
    { weight: 4, arbitrary: fc.constantFrom(4_999, 5_000, 10_000, 14_999, 15_000, 15_000) },
    { weight: 1, arbitrary: fc.nat(20_000) },
  ),
});

test('never two leaders, whatever the clocks show and however long a candidate is held up', () => {
  let led = 0;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -10_000_000, max: 10_000_000 }), { minLength: 2, maxLength: 3 }),
      fc.array(step, { minLength: 10, maxLength: 120 }),
      (clocksAhead, steps) => {
        led += play(clocksAhead, steps);
      },
    ),
    { numRuns: 3_000 },
  );
  expect(led, 'nobody ever led: the property says nothing').toBeGreaterThan(1_000);
});
