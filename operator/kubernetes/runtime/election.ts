import { setTimeout as sleep } from 'node:timers/promises';
import { jitter } from '#queue/backoff.ts';
import { isProblem, problem } from '#queue/problem.ts';
import type { Api, KubeObject, OwnerReference } from './api.ts';
import {
  claimed,
  decide,
  heldUntil,
  type LeaseRecord,
  type Observation,
  observe,
  readLease,
  released,
  writeLease,
} from './lease.ts';
import { createSteadyClock } from './steadyclock.ts';
import { createTerm, type TermOptions } from './term.ts';

export type { StopReason } from './term.ts';

export interface ElectionOptions extends TermOptions {
  /** Without a fence, and with a `timeoutMs` of at most half of `renewMs`, so that a second try fits in. */
  readonly api: Pick<Api, 'get' | 'create' | 'update'>;
  /** Of the Lease. */
  readonly namespace: string;
  readonly name: string;
  /** With what the Lease goes; nothing when left out. */
  readonly owner?: OwnerReference | null;
  /** Of this candidate: no other has it, nor has it in a next life. */
  readonly identity: string;
  /** Others take the lease so long after the last renewal they saw; whole seconds, 15,000 when left out. */
  readonly leaseMs?: number;
  /** A leader that could not renew for so long is none any more: less than `leaseMs`; 10,000 when left out. */
  readonly renewMs?: number;
  /** At most so long between two looks at the lease, or renewals; 2,000 when left out. */
  readonly retryMs?: number;
  /** Milliseconds that never go back. */
  readonly clock?: () => number;
}

export interface Election {
  readonly isLeader: boolean;
  /** Throws `not_leader` when the lease is not surely ours any more. To be called right before each write. */
  fence(): void;
  start(): void;
  /** Ends the work (`onStopped`) while it still leads, then gives the lease back, so that another takes it at once. */
  stop(): Promise<void>;
}

/**
 * Elects one of several candidates by a Lease.
 *
 *     standby ──the lease is free, given back, or expired: taken──▶ leading ──renewed──▶ leading
 *        ▲                                                            │
 *        ├──work has ended── losing ◀──not renewed, or another has it─┤
 *        └──lease is given back── resigning ◀──────stop()─────────────┘
 *
 * A leader trusts its lease until `renewMs` after it SENT its last good renewal; others take it no sooner than
 * `leaseMs` after they SAW that renewal. As `renewMs < leaseMs`, the leader has stopped before; clocks need not agree,
 * only run at about the same speed. `fence` asks the clock and no timer, so a process that was stopped and goes on
 * writes nothing, whatever its timers have not told it yet. A request that was sent already can still arrive: what
 * remains of the lease (5 s) is for those. A resigning leader renews on until its work has ended.
 */
export function createElection(options: ElectionOptions): Election {
  const { renewMs = 10_000, leaseMs = 15_000, retryMs = 2_000, onError } = options;
  if (!(retryMs < renewMs && renewMs < leaseMs)) throw new RangeError('retryMs < renewMs < leaseMs must hold');
  const clock = options.clock ?? createSteadyClock();
  const term = createTerm(options, clock);
  const candidate = createCandidate({ ...options, leaseMs }, clock);
  let abort: AbortController | null = null;
  let ended: Promise<void> = Promise.resolve();

  async function run(signal: AbortSignal): Promise<void> {
    term.reopen();
    while (!signal.aborted) {
      await attempt();
      await sleep(jitter(retryMs), undefined, { signal }).catch(() => {});
      await term.ended();
    }
    term.close();
    await candidate.giveBack().catch(onError);
  }

  async function attempt(): Promise<void> {
    try {
      const outcome = await candidate.attempt(term.holds);
      if (outcome === 'lost') term.lose();
      else if (outcome !== 'waits') term.hold(heldUntil(outcome.heldSince, { leaseMs, renewMs }));
    } catch (error) {
      // Another standby was quicker, as it may be.
      if (term.holds || !isProblem(error) || !['api_conflict', 'api_exists'].includes(error.code)) onError(error);
    }
  }

  return {
    get isLeader() {
      return term.isSure;
    },
    fence() {
      if (term.isSure) return;
      const remedy = 'Nothing: another process leads, or will soon. If none does, look at the Lease.';
      throw problem('not_leader', 'this process does not lead, or cannot know any more whether it does', remedy);
    },
    start() {
      if (abort !== null) return;
      const started = new AbortController();
      abort = started;
      ended = ended.then(() => run(started.signal));
    },
    async stop() {
      const stopped = abort;
      abort = null;
      if (stopped !== null) await term.resign();
      stopped?.abort();
      await ended;
    },
  };
}

/** One candidate's dealings with the Lease on the server. */
function createCandidate(
  { api, namespace, name, owner, identity, leaseMs }: ElectionOptions & { readonly leaseMs: number },
  clock: () => number,
) {
  let seen: Observation | null = null;

  const read = () => api.get({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace, name });

  async function write(lease: KubeObject | null, record: LeaseRecord): Promise<void> {
    const object = writeLease({ namespace, name, ...(owner && { ownerReferences: [owner] }) }, lease, record);
    await (lease === null ? api.create(object) : api.update(object));
  }

  return {
    /** Looks at the lease, and takes or renews it when it may. Tells when what holds it from then on was sent. */
    async attempt(leading: boolean): Promise<'waits' | 'lost' | { readonly heldSince: number }> {
      const lease = await read();
      const now = clock();
      seen = observe(seen, lease && readLease(lease, leaseMs), now);
      const decision = decide(seen, identity, leading, now);
      if (decision === 'wait') return 'waits';
      if (decision === 'lost') return 'lost';
      const record = claimed(seen.record, { identity, leaseMs, isNew: decision !== 'renew', unixMs: Date.now() });
      await write(lease, record);
      seen = observe(seen, record, clock());
      return { heldSince: now };
    },
    /** Only after the last write of a term. */
    async giveBack(): Promise<void> {
      const lease = await read();
      const record = lease && readLease(lease, leaseMs);
      if (record?.holder === identity) await write(lease, released(record, Date.now()));
    },
  };
}
