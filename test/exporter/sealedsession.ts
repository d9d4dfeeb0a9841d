import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AttemptPlan } from '#exporter/attempt.ts';
import { readConfig } from '#exporter/config.ts';
import { append } from '#queue/append.ts';
import type { QueueEvent } from '#queue/codec.ts';
import { shardOf } from '#queue/identity.ts';
import { sessionRoot } from '#queue/merkle.ts';
import { seal } from '#queue/seal.ts';
import { readWitness, type Witness } from '#queue/witness.ts';
import { scanWriters } from '#queue/writerstate.ts';
import { startShard, type TestShard } from '#test/queue/testshard.ts';
import { batchOf, share, type TestWriter, testWriter } from '#test/queue/testwriter.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** A session of real Redis shards that students have written to, sealed as the operator does it. */
export interface SealedSession {
  readonly uid: string;
  readonly folder: string;
  readonly database: string;
  readonly shards: readonly TestShard[];
  readonly witnesses: readonly Witness[];
  readonly root: string;
  /** By student, in the order of the log. */
  readonly events: ReadonlyMap<string, readonly QueueEvent[]>;
  readonly total: number;
  /** Where the report goes. */
  readonly report: string;
  shardOf(student: string): TestShard;
  /** The plan that the exporter makes of `config()`. */
  plan(attempt?: number): AttemptPlan;
  /**
   * The exporter's configuration for an attempt, as a file; returns its path. A `sink` without a kind only changes the
   * DuckDB one that is used otherwise.
   */
  config(attempt?: number, changes?: Readonly<Record<string, unknown>>): string;
}

export interface SealedSessionOptions {
  readonly shards?: number;
  readonly students?: readonly string[];
  /** Rounds: in each every writer makes some events, in one batch a shard. */
  readonly rounds?: number;
  readonly perRound?: number;
  readonly writersPerStudent?: number;
  readonly payload?: (seq: number, student: string) => string;
  /** Where database and staging are; a folder of this test's own when left out. */
  readonly folder?: string;
  readonly rehearsal?: boolean;
}

const exam = 'algebra';

export function studentNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `student-${i + 1}`);
}

export async function sealedSession(options: SealedSessionOptions = {}): Promise<SealedSession> {
  const { shards: count = 2, students = studentNames(12), rounds = 3, perRound = 2, rehearsal = false } = options;
  const uid = randomUUID();
  const folder = options.folder ?? tmpFolder('export');
  const shards = await Promise.all(
    Array.from({ length: count }, (_, shard) => startShard({ identity: { uid, shard, shards: count } })),
  );
  const writers = students.flatMap((student) =>
    Array.from({ length: options.writersPerStudent ?? 1 }, (_, i) => testWriter(uid, student, `writer-${i}-of-it`)),
  );
  const events = new Map<string, QueueEvent[]>(students.map((student) => [student, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { shard, identity } of shards) {
      const own = writers.filter(({ student }) => shardOf(student, count) === identity.shard);
      const shares = own.map((writer) => ({ ...share(withPayloads(writer, options), perRound), writer }));
      if (shares.length === 0) continue;
      const reply = await append(shard, batchOf(...shares));
      if (reply.kind !== 'ok') throw new Error(`the append was answered ${JSON.stringify(reply)}`);
      for (const one of shares) events.get(one.writer.student)!.push(...one.events);
    }
  }
  const { witnesses, root } = await sealAll(shards);
  const database = join(folder, 'exams.duckdb');
  const report = join(folder, `report-${uid}.json`);
  const total = [...events.values()].reduce((sum, own) => sum + own.length, 0);
  const config = (attempt = 1, changes = {}) => {
    const { sink, ...rest } = changes as { sink?: object };
    const path = join(folder, `plan-${uid}-${attempt}-${randomUUID()}.json`);
    const staging = join(folder, `export-${uid}`);
    const duckdb = { kind: 'duckdb', database, staging, memoryMb: 128, lockWaitSeconds: 5 };
    const base = {
      session: { name: exam, uid, exam, rehearsal },
      attempt,
      shards: shards.map(({ endpoint, identity }) => ({ ...endpoint, tls: null, incarnation: identity.incarnation })),
      witnesses,
      root,
      sink: sink && 'kind' in sink ? sink : { ...duckdb, ...sink },
      table: 'EXAM_ANSWERS',
      batchRows: 7,
      report,
      logLevel: 'warn',
    };
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, JSON.stringify({ ...base, ...rest }));
    return path;
  };
  return {
    ...{ uid, folder, database, report, shards, witnesses, root, events, total, config },
    shardOf: (student) => shards[shardOf(student, count)]!,
    plan: (attempt) => readConfig(config(attempt)).plan,
  };
}

function withPayloads(writer: TestWriter, { payload }: SealedSessionOptions): TestWriter {
  if (!payload) return writer;
  return Object.create(writer, {
    next: { value: () => writer.next(payload(writer.state.seq + 1, writer.student)) },
    state: { get: () => writer.state },
  }) as TestWriter;
}

async function sealAll(shards: readonly TestShard[]): Promise<{ witnesses: Witness[]; root: string }> {
  const witnesses: Witness[] = [];
  const writers = [];
  for (const { shard } of shards) {
    await seal(shard);
    const { sealed: _, ...witness } = await readWitness(shard);
    witnesses.push(witness);
    for await (const writer of scanWriters(shard)) writers.push(writer);
  }
  return { witnesses, root: sessionRoot(writers) };
}
