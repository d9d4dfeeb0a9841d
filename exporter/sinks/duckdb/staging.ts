import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { problem } from '#queue/problem.ts';
import { createOnce, digestFile, makePrivateFolder, readIfThere, replaceFile } from '../../durablefile.ts';
import type { LoadedShard } from '../../sink.ts';

// Staging is a folder of files, one folder a session. For attempt N and shard K:
//
//   session                        the session's uid, made by whoever came first
//   attempt-N/frozen.json          the plan, made by whoever came first
//   attempt-N/shard-K.claim        made exclusively before the first row: from then on this shard is one loader's
//   attempt-N/shard-K.parquet.part what the loader writes
//   attempt-N/shard-K.parquet      complete and synced, by a rename
//   attempt-N/shard-K.loaded.json  the loader's record: rows, bytes, digest. Written last: the shard is staged
//
//   nothing ─claim▶ claimed ─▶ part ─rename▶ parquet ─record▶ staged
//
// A claim without a record is doubtful for good. Nobody deletes a claim or a plan; files of rows are deleted when a
// later attempt stages the same shard, so that attempts that fail do not fill the disk.

/** The files of one attempt. `staging` belongs to one session. */
export function stagingFiles(staging: string, attempt: number) {
  const dir = join(staging, `attempt-${attempt}`);
  return {
    dir,
    frozen: join(dir, 'frozen.json'),
    claim: (shard: number) => join(dir, `shard-${shard}.claim`),
    part: (shard: number) => join(dir, `shard-${shard}.parquet.part`),
    parquet: (shard: number) => join(dir, `shard-${shard}.parquet`),
    record: (shard: number) => join(dir, `shard-${shard}.loaded.json`),
    /** Where DuckDB puts what does not fit into memory. */
    spill: (what: string) => join(dir, `spill-${what}`),
  };
}

export type StagingFiles = ReturnType<typeof stagingFiles>;

/** Takes the folder for one session: another's attempts have the same numbers. */
export async function ownStaging(staging: string, sessionUid: string): Promise<void> {
  await makePrivateFolder(staging);
  const path = join(staging, 'session');
  if (await createOnce(path, `${sessionUid}\n`)) return;
  const owner = (await readIfThere(path))?.trim();
  if (owner === sessionUid) return;
  throw problem(
    'staging_foreign',
    `the staging folder ${staging} belongs to session ${owner}`,
    'Name another folder in sink.staging: each session needs its own.',
  );
}

/** Freezes the text of the plan, or finds that it was frozen, with the same text. */
export async function freezePlan(files: StagingFiles, text: string): Promise<void> {
  await makePrivateFolder(files.dir);
  if (await createOnce(files.frozen, text)) return;
  if ((await readIfThere(files.frozen)) === text) return;
  throw problem(
    'attempt_changed',
    `this attempt was begun with another plan than this one (${files.frozen})`,
    'An attempt keeps its plan: what was changed in the session is for a new attempt, with the next number.',
  );
}

/** Claims a shard; gives the record instead when it is already staged. */
export async function claimShard(files: StagingFiles, shard: number): Promise<LoadedShard | null> {
  const claim = { shard, pid: process.pid, at: new Date().toISOString() };
  if (await createOnce(files.claim(shard), `${JSON.stringify(claim)}\n`)) return null;
  const record = await readRecord(files, shard);
  if (record) return record;
  const holder = (await readIfThere(files.claim(shard)))?.trim();
  throw problem(
    'staging_ambiguous',
    `shard ${shard} of this attempt was claimed by another loader that has not finished (${holder})`,
    'Nothing is lost: begin a new attempt. This one is never continued, since nobody can know what that loader still does.',
  );
}

/** Records that a shard is staged, after its rows are durable. */
export async function recordShard(files: StagingFiles, loaded: LoadedShard): Promise<void> {
  await replaceFile(files.record(loaded.shard), `${JSON.stringify(loaded, null, 2)}\n`);
}

/** What the loader of a shard recorded; null while there is no record. */
export async function readRecord(files: StagingFiles, shard: number): Promise<LoadedShard | null> {
  const text = await readIfThere(files.record(shard));
  return text === null ? null : (JSON.parse(text) as LoadedShard);
}

/** Compares a staged file with its record: what was written must still be there. */
export async function checkFile(files: StagingFiles, loaded: LoadedShard): Promise<void> {
  const found = await digestFile(files.parquet(loaded.shard));
  if (found?.digest === loaded.digest && found.bytes === loaded.bytes) return;
  throw problem(
    'staging_differs',
    `${files.parquet(loaded.shard)} is ${found ? 'not what its loader wrote' : 'gone'}`,
    'Begin a new attempt: it stages the rows again. If it happens again, look for a failing disk.',
  );
}

/** Removes the rows, not the claims, that earlier attempts staged for this shard, and what their loaders spilled. */
export async function pruneShard(staging: string, attempt: number, shard: number): Promise<void> {
  for (const number of await attemptsIn(staging)) {
    if (number >= attempt) continue;
    const files = stagingFiles(staging, number);
    for (const path of [files.part(shard), files.parquet(shard)]) await rm(path, { force: true });
    await rm(files.spill(`shard-${shard}`), { recursive: true, force: true });
  }
}

/** Removes what killed processes of any attempt had spilled. The session is published: nobody needs it. */
export async function pruneSpills(staging: string, except: string): Promise<void> {
  for (const attempt of await attemptsIn(staging)) {
    const files = stagingFiles(staging, attempt);
    for (const name of await readdir(files.dir)) {
      const path = join(files.dir, name);
      if (path.startsWith(files.spill('')) && path !== except) await rm(path, { recursive: true, force: true });
    }
  }
}

async function attemptsIn(staging: string): Promise<number[]> {
  return (await readdir(staging)).flatMap((name) => /^attempt-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
}
