import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import duckdb from '@duckdb/node-api';
import { problem } from '#queue/problem.ts';
import { type AttemptPlan, planText } from '../../attempt.ts';
import type { DuckdbSettings } from '../../config.ts';
import { crashPoint } from '../../crashpoint.ts';
import { digestFile, renameDurably } from '../../durablefile.ts';
import { createRetryLog } from '../../retries.ts';
import type { Row } from '../../row.ts';
import type { LoadedShard, Published, Sink } from '../../sink.ts';
import { type Database, makeDatabase, openDatabase } from './database.ts';
import { writeParquet } from './parquet.ts';
import { readSession } from './readback.ts';
import { sinkProblem } from './retry.ts';
import {
  checkFile,
  claimShard,
  freezePlan,
  ownStaging,
  pruneShard,
  pruneSpills,
  readRecord,
  recordShard,
  type StagingFiles,
  stagingFiles,
} from './staging.ts';
import { checkSameTable, publishStaged, readControl } from './target.ts';

/**
 * The sink that needs no server: a Parquet file (zstd) for each shard and attempt, and a DuckDB database that only the
 * publisher opens, since DuckDB has one writer. `staging.ts` says what stands in the staging folder, `target.ts` what
 * is done in the transaction. Between the steps the database is closed: one file, without a log beside it.
 * @param signal interrupts what DuckDB does
 */
export function createDuckdbSink(settings: DuckdbSettings, signal?: AbortSignal): Sink {
  const abort = signal ? { signal } : {};
  const spillName = `publish-${randomUUID()}`;
  const retried = createRetryLog();
  let prepared: { plan: AttemptPlan; files: StagingFiles } | null = null;
  let database: Database | null = null;

  function job() {
    if (!prepared) throw new Error('prepare() comes first');
    return prepared;
  }

  function limitsFor(what: string) {
    const { memoryMb, threads } = settings;
    return { memoryMb, threads, spill: job().files.spill(what) };
  }

  async function open(readOnly: boolean): Promise<Database> {
    const waitMs = settings.lockWaitSeconds * 1_000;
    const limits = limitsFor(spillName);
    if (!readOnly) await makeDatabase(settings.database, limits);
    database = await openDatabase(settings.database, { ...limits, waitMs, readOnly, ...abort });
    if (database.waits > 0) retried.note(readOnly ? 'read back' : 'publish', 'locked', database.waits);
    return database;
  }

  async function load(shard: number, rows: AsyncIterable<readonly Row[]>): Promise<LoadedShard> {
    const { plan, files } = job();
    const record = await claimShard(files, shard);
    if (record) return record;
    crashPoint('load:claimed');
    await pruneShard(settings.staging, plan.attempt, shard);
    const startedAt = Date.now();
    const { exam, uid } = plan.session;
    const part = files.part(shard);
    const about = { session_uid: uid, exam, attempt: String(plan.attempt), shard: String(shard), root: plan.root };
    const limits = limitsFor(`shard-${shard}`);
    const count = await writeParquet(rows, { ...limits, path: part, exam, sessionUid: uid, shard, about, ...abort });
    const { bytes, digest } = (await digestFile(part))!;
    await renameDurably(part, files.parquet(shard));
    crashPoint('load:renamed');
    const { attempt } = plan;
    const loaded = { shard, attempt, rows: count, bytes, digest, startedAt, endedAt: Date.now() };
    await recordShard(files, loaded);
    crashPoint('load:recorded');
    return loaded;
  }

  async function loaded(): Promise<LoadedShard[]> {
    const { plan, files } = job();
    const records = await Promise.all(plan.witnesses.map(({ shard }) => readRecord(files, shard)));
    return records.filter((record) => record !== null);
  }

  /** The records of all shards, compared with the witnesses and with the files. */
  async function staged(): Promise<LoadedShard[]> {
    const { plan, files } = job();
    const records = await loaded();
    const missing = plan.witnesses.filter(({ shard }) => !records.some((record) => record.shard === shard));
    if (missing.length > 0) throw incomplete(missing.map(({ shard }) => shard));
    for (const record of records) await checkFile(files, record);
    return records;
  }

  async function publishInto(opened: Database): Promise<Published> {
    const { plan, files } = job();
    const published = await readControl(opened, plan);
    if (published) checkSameTable(published, plan);
    if (published) return published;
    const records = await staged();
    const paths = plan.witnesses.map(({ shard }) => files.parquet(shard));
    return publishStaged(opened, plan, records, paths);
  }

  return {
    async prepare(plan) {
      await ownStaging(settings.staging, plan.session.uid);
      const files = stagingFiles(settings.staging, plan.attempt);
      await freezePlan(files, planText(plan));
      prepared = { plan, files };
      crashPoint('load:frozen');
    },
    load: (shard, rows) => load(shard, rows).catch(rethrow),
    loaded,
    async publish() {
      const opened = await open(false);
      crashPoint('publish:opened');
      try {
        const published = await publishInto(opened);
        // Everything into the one file: whoever takes it away needs nothing else.
        await opened.connection.run('CHECKPOINT');
        crashPoint('publish:checkpointed');
        await pruneSpills(settings.staging, limitsFor(spillName).spill);
        return published;
      } catch (error) {
        throw sinkProblem(error);
      } finally {
        await opened.close();
      }
    },
    async *readBack() {
      const { plan } = job();
      const opened = await open(true);
      try {
        yield* readSession(opened, plan.table, plan.session.uid);
      } catch (error) {
        throw sinkProblem(error);
      } finally {
        await opened.close();
      }
    },
    retries: retried.all,
    version: async () => `DuckDB ${duckdb.version()}`,
    async close() {
      await database?.close();
      if (prepared) await rm(prepared.files.spill(spillName), { recursive: true, force: true });
    },
  };
}

function rethrow(error: unknown): never {
  throw sinkProblem(error);
}

function incomplete(shards: readonly number[]) {
  return problem(
    'staging_incomplete',
    `these shards of this attempt are not staged: ${shards.join(', ')}`,
    'Load every shard first; after a loader that died, begin a new attempt.',
  );
}
