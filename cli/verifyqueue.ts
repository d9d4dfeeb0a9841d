import { existsSync } from 'node:fs';
import { openSink } from '#exporter/opensink.ts';
import { openSealedShard } from '#exporter/sealedshard.ts';
import { type Verification, verifyExport } from '#exporter/verify.ts';
import { type IdentityFile, type LocalIdentity, openIdentityFile } from '#operator/local/identityfile.ts';
import { ensureKeys } from '#operator/local/keys.ts';
import { lockFolder } from '#operator/local/lock.ts';
import { endOrphans, openChildrenFile } from '#operator/local/orphans.ts';
import { createLocalShards } from '#operator/local/redis.ts';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import type { Shard } from '#queue/connect.ts';
import { isProblem, problem } from '#queue/problem.ts';
import { exporterConfigOf } from './exported.ts';
import type { Folder } from './folder.ts';
import { readStatus } from './statusfile.ts';

export interface VerifyQueueOptions {
  readonly folder: Folder;
  readonly plan: AttemptPlan;
  readonly signal: AbortSignal;
  onRows(rows: number): void;
}

/** True when every shard's append-only file is still in the folder. */
export function isQueueKept({ at, identity }: Folder): boolean {
  const shards = identity?.shards ?? [];
  return shards.length > 0 && shards.every(({ shard }) => existsSync(at.redis(shard).appendOnlyDir));
}

/**
 * Proves the export once more as the exporter did it: the published rows against the sealed queue. While no `run` has
 * the folder, the queue's Redis servers are started for it on their own files, under the folder's lock, and stopped
 * again; while one has, its servers are asked.
 */
export async function verifyQueue(options: VerifyQueueOptions): Promise<Verification> {
  const { folder } = options;
  const lock = await lockFolder(folder.at).catch((error: unknown) => {
    if (isProblem(error) && error.code === 'folder_in_use') return null;
    throw error;
  });
  if (lock === null) {
    await needRunningQueue(folder);
    return compare(options, folder.identity!);
  }
  try {
    return await withServers(folder, (identity) => compare(options, identity.value));
  } finally {
    lock.release();
  }
}

async function withServers<T>(folder: Folder, work: (identity: IdentityFile) => Promise<T>): Promise<T> {
  const { at } = folder;
  const { path: binary } = await findRedisBinary();
  await endOrphans(at);
  const identity = await openIdentityFile(at, folder.identity, folder.session);
  const keys = await ensureKeys(at);
  const children = openChildrenFile(at);
  const shards = createLocalShards({ folder: at, identity, keys, binary, children, changed() {} });
  try {
    await shards.apply({ ...asTheyAre, count: identity.value.shards.length });
    return await work(identity);
  } finally {
    await shards.stop();
  }
}

/** Starts what exists and changes nothing. */
const asTheyAre = { running: true, refill: [], maxmemoryBytes: 0, memoryBytes: 0, storageBytes: 0, cpu: 0 } as const;

async function needRunningQueue(folder: Folder): Promise<void> {
  const status = await readStatus(folder);
  if (status !== null && status.pids.redis.length > 0) return;
  throw problem(
    'folder_in_use',
    `a run has the folder ${folder.at.root}, and has stopped its queue`,
    'verify again when that run has ended',
  );
}

async function compare(
  { folder, plan, signal, onRows }: VerifyQueueOptions,
  identity: LocalIdentity,
): Promise<Verification> {
  const config = exporterConfigOf(folder, identity, plan);
  const sink = openSink(config, signal);
  const shards: Shard[] = [];
  try {
    await sink.prepare(config.plan);
    for (const [index, { endpoint, identity: shard }] of config.shards.entries()) {
      const witness = config.plan.witnesses[index]!;
      shards.push(await openSealedShard({ endpoint, identity: shard, witness, signal }));
    }
    return await verifyExport({ plan: config.plan, shards, sink, onRows, signal });
  } finally {
    await Promise.all(shards.map((shard) => shard.close()));
    await sink.close();
  }
}
