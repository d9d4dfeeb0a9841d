import { readExamSession } from '#operator/examsession.ts';
import type { AttemptObserved, GatewayObserved, Observed, ShardObserved } from '#operator/platform.ts';
import type { QueueFacts, ShardFacts } from '#operator/queuecontrol.ts';
import type { SessionStatus } from '#operator/status.ts';

/** Facts of a session, for tests of what is decided from them. Everything is as in mid-exam unless said otherwise. */

export const now = Date.parse('2026-05-04T10:00:00Z');
export const root = 'a'.repeat(64);

export function sessionOf(spec: string) {
  return readExamSession(
    `{apiVersion: untradex.io/v1alpha1, kind: ExamSession, metadata: {name: algebra}, spec: {students: 4000, ${spec}}}`,
  );
}

export function observedOf(change: Partial<Observed> & { spec?: string } = {}): Observed {
  const { spec = '', ...rest } = change;
  return {
    place: 'machine',
    session: sessionOf(spec),
    generation: 1,
    editFault: null,
    paused: false,
    roster: new Map(),
    identity: { uid: 'uid', shards: [birthOf(0), birthOf(1)] },
    status: null,
    shards: [shardObserved(0), shardObserved(1)],
    gateways: [gatewayOf(1), gatewayOf(2)],
    attempt: null,
    url: 'http://127.0.0.1:8080/exam',
    receiptPublicKey: 'PEM',
    ...rest,
  };
}

export function birthOf(shard: number, born = true) {
  return { shard, incarnation: `incarnation-${shard}`, born };
}

export function shardObserved(shard: number, change: Partial<ShardObserved> = {}): ShardObserved {
  const storage = { usedBytes: 1e6, capacityBytes: 50e9 };
  return {
    shard,
    running: true,
    endpoint: { host: '127.0.0.1', port: 7000 + shard },
    maxmemoryBytes: 0,
    storage,
    fault: null,
    ...change,
  };
}

export function gatewayOf(number: number, change: Partial<GatewayObserved> = {}): GatewayObserved {
  return { id: `gateway ${number}`, mode: 'serve', ready: true, fault: null, ...change };
}

export function factsOf(shard: number, change: Partial<ShardFacts> = {}): ShardFacts {
  return {
    shard,
    phase: 'ready',
    fault: null,
    session: {
      phase: 'Active',
      closesAt: null,
      graceMs: 10_000,
      late: 'Refuse',
      drainUntil: null,
      verified: null,
      notice: null,
      rehearsal: false,
      full: false,
      deadlinesVersion: 'none',
    },
    sealedAt: null,
    witness: witnessOf(shard),
    seen: 10,
    finished: 3,
    memory: { usedBytes: 10e6, maxBytes: 500e6 },
    aofBytes: 1e6,
    time: now,
    ...change,
  };
}

export function queueOf(...shards: ShardFacts[]): QueueFacts {
  const all = shards.length > 0 ? shards : [factsOf(0), factsOf(1)];
  const times = all.flatMap(({ time }) => (time === null ? [] : [time]));
  return { shards: all, now: times.length === all.length ? Math.min(...times) : null };
}

export function witnessOf(shard: number) {
  return { shard, lastId: `${now}-0`, events: 100, digest: 'd'.repeat(40), incarnation: `incarnation-${shard}` };
}

/** A shard that does not answer. */
export function silent(shard: number, change: Partial<ShardFacts> = {}): ShardFacts {
  return factsOf(shard, {
    phase: 'connecting',
    session: null,
    witness: null,
    memory: null,
    aofBytes: null,
    time: null,
    seen: 0,
    finished: 0,
    ...change,
  });
}

export function statusOfPast(change: Partial<SessionStatus> = {}): SessionStatus {
  return {
    name: 'algebra',
    uid: 'uid',
    phase: 'Active',
    url: null,
    observedGeneration: 1,
    conditions: [],
    plan: { replicas: 2, shards: 2, cpu: 4, memory: '1Gi', storage: '2Gi', why: [] },
    students: { expected: 4000, connected: 0, seen: 5, finished: 1 },
    events: { accepted: 0, durable: 0, exported: 0 },
    redis: { witnesses: [], root: null },
    export: null,
    ackMs: null,
    receiptPublicKey: 'PEM',
    drainUntil: null,
    sealing: null,
    ...change,
  };
}

/** The status of a session whose shards are all sealed. */
export function sealedStatus(change: Partial<SessionStatus> = {}): SessionStatus {
  const witnesses = [0, 1].map(witnessOf);
  return statusOfPast({
    phase: 'Exporting',
    sealing: '2026-05-04T09:59:00.000Z',
    redis: { witnesses, root },
    ...change,
  });
}

export function attemptOf(change: Partial<AttemptObserved> & { number?: number } = {}): AttemptObserved {
  const { number = 1, ...rest } = change;
  return {
    plan: {
      attempt: number,
      generation: 1,
      session: { name: 'algebra', uid: 'uid', exam: 'algebra', rehearsal: false },
      table: 'EXAM_ANSWERS',
      batchRows: 5000,
      witnesses: [],
      root,
    },
    state: 'running',
    step: 'load',
    rows: 50,
    total: 200,
    rowsPerSecond: 1000,
    endedAt: null,
    fault: null,
    result: null,
    ...rest,
  };
}

export const fault = { code: 'sink_down', message: 'the database does not answer', remedy: 'start it' };

export function succeeded(): AttemptObserved {
  const result = { rows: 200, root, digest: 'f'.repeat(64), report: 'report.json', rowsPerSecond: 5000 };
  return attemptOf({ state: 'succeeded', endedAt: now - 1_000, result });
}
