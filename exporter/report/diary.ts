import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { AttemptPlan } from '../attempt.ts';
import { besideOf } from '../durablefile.ts';
import { problemOf } from '../outcome.ts';
import type { Retry } from '../retries.ts';
import { createPace, type Pace } from './pace.ts';

// What a program of the exporter notes of itself, beside the report, for the report that a later program writes: a file
// for each attempt and shard (or `publish`). It is written when the program begins and again when it ends; so one that
// was killed is known by an entry without an end. Nothing is decided by it, and an export goes on without it: loaders
// that do not share a volume with the publisher cannot leave one.

const count = z.int().min(0);
const schema = z.object({
  session: z.uuid(),
  attempt: z.int().min(1),
  /** Null: the publisher. */
  shard: count.nullable(),
  startedAt: count,
  /** Null: still running, or killed. */
  endedAt: count.nullable(),
  rows: count,
  /** Why it ended, null when it did well. */
  code: z.string().nullable(),
  retries: z.array(z.object({ step: z.string(), code: z.string(), count })),
  pace: z.array(z.tuple([count, count])),
});

export type DiaryEntry = z.output<typeof schema>;

/** Attempts whose entries are kept, and read. */
export const mostDiaryAttempts = 20;

export interface DiaryOptions {
  /** Folder of the diaries. */
  readonly folder: string;
  readonly plan: AttemptPlan;
  /** Null: the publisher. */
  readonly shard: number | null;
  /** What this process tried again so far. */
  readonly retries: () => readonly Retry[];
  /** Told when an entry cannot be written. */
  readonly onTrouble: (error: unknown) => void;
}

/** Runs a program's work and keeps its diary. The work calls `pace.rows` as it gets on. */
export async function keepDiary<T>(options: DiaryOptions, work: (pace: Pace) => Promise<T>): Promise<T> {
  const { plan, shard } = options;
  const startedAt = Date.now();
  const pace = createPace();
  const entry = (endedAt: number | null, code: string | null): DiaryEntry => ({
    session: plan.session.uid,
    attempt: plan.attempt,
    ...{ shard, startedAt, endedAt, code },
    rows: pace.points().at(-1)?.[1] ?? 0,
    retries: [...options.retries()],
    pace: pace.points().map(([ms, rows]) => [ms, rows]),
  });
  await write(options, entry(null, null));
  try {
    const value = await work(pace);
    await write(options, entry(Date.now(), null));
    return value;
  } catch (error) {
    await write(options, entry(Date.now(), problemOf(error).code));
    throw error;
  }
}

/** The entries of this session's attempts up to this one, by attempt, then shard, the publisher last. */
export async function readDiaries(folder: string, plan: AttemptPlan): Promise<DiaryEntry[]> {
  const names = await readdir(folder).catch(() => []);
  const entries: DiaryEntry[] = [];
  for (const name of names) {
    const attempt = Number(/^attempt-(\d+)-(?:shard-\d+|publish)\.json$/.exec(name)?.[1]);
    if (!(attempt <= plan.attempt && attempt > plan.attempt - mostDiaryAttempts)) continue;
    const entry = await readEntry(join(folder, name));
    if (entry?.session === plan.session.uid && entry.attempt === attempt) entries.push(entry);
  }
  const place = ({ shard }: DiaryEntry) => shard ?? Number.POSITIVE_INFINITY;
  return entries.sort((a, b) => a.attempt - b.attempt || (place(a) < place(b) ? -1 : 1));
}

async function readEntry(path: string): Promise<DiaryEntry | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null; // Not ours.
  }
}

async function write({ folder, plan, shard, onTrouble }: DiaryOptions, entry: DiaryEntry): Promise<void> {
  const pathOf = (attempt: number) =>
    join(folder, `attempt-${attempt}-${shard === null ? 'publish' : `shard-${shard}`}.json`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = pathOf(plan.attempt);
    const beside = besideOf(path);
    // Not synced: it is for the report only.
    await writeFile(beside, JSON.stringify(entry), { mode: 0o600 });
    await rename(beside, path);
    await rm(pathOf(plan.attempt - mostDiaryAttempts), { force: true });
  } catch (error) {
    onTrouble(error);
  }
}
