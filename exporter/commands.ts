import type { Shard } from '#queue/connect.ts';
import type { ExporterConfig } from './config.ts';
import type { Lines } from './lines.ts';
import { rate } from './lines.ts';
import { loadShard } from './load.ts';
import type { Logger } from './log.ts';
import { type PublishResult, publishExport } from './publish.ts';
import { type DiaryOptions, keepDiary } from './report/diary.ts';
import type { Pace } from './report/pace.ts';
import { reportPaths } from './report/reportpaths.ts';
import { readRoster } from './roster.ts';
import { openSealedShard } from './sealedshard.ts';
import type { Sink } from './sink.ts';

/** What a command works with. */
export interface Job {
  readonly config: ExporterConfig;
  readonly sink: Sink;
  readonly lines: Lines;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** `load`: stages one shard. */
export function runLoad(job: Job, number: number): Promise<object> {
  return keepDiary(diaryOf(job, number), (pace) => load(job, number, pace));
}

async function load(job: Job, number: number, pace: Pace): Promise<object> {
  const { config, sink, lines, signal } = job;
  await sink.prepare(config.plan);
  const shard = await connect(job, number);
  try {
    const tell = lines.step('load', config.plan.witnesses[number]!.events, number);
    const onRows = (rows: number) => {
      pace.rows(rows);
      tell(rows);
    };
    pace.begin();
    const { attempt, rows, bytes, digest, startedAt, endedAt } = await loadShard({
      plan: config.plan,
      shard,
      sink,
      onRows,
      signal,
    });
    return { shard: number, attempt, rows, bytes, digest, rowsPerSecond: rate(rows, endedAt - startedAt) };
  } finally {
    await shard.close();
  }
}

/** `publish`: publishes, verifies, reports. */
export function runPublish(job: Job): Promise<PublishResult> {
  return keepDiary(diaryOf(job, null), () => publish(job));
}

async function publish(job: Job): Promise<PublishResult> {
  const { config, sink, lines, log, signal } = job;
  const { plan, target, report, receiptPublicKey, samples } = config;
  await sink.prepare(plan);
  const roster = config.roster === null ? null : await readRoster(config.roster);
  const open: Shard[] = [];
  const connectAll = async () => {
    for (const { identity } of config.shards) open.push(await connect(job, identity.shard));
    return open;
  };
  try {
    const options = { plan, target, sink, lines, log, signal, report, roster, receiptPublicKey, samples };
    const result = await publishExport({ ...options, connect: connectAll });
    await tidy(job);
    return result;
  } finally {
    await Promise.all(open.map((shard) => shard.close()));
  }
}

function diaryOf({ config, sink, log }: Job, shard: number | null): DiaryOptions {
  const { diaries: folder } = reportPaths(config.report);
  const onTrouble = (error: unknown) => log.info({ err: error, folder }, 'the report will tell less of this program');
  return { folder, plan: config.plan, shard, retries: () => sink.retries?.() ?? [], onTrouble };
}

/** An export that is proved is not less so because something stays behind. */
async function tidy({ sink, log }: Job): Promise<void> {
  try {
    await sink.tidy?.();
  } catch (error) {
    log.warn({ err: error }, 'what was staged could not be removed; it may be removed by hand');
  }
}

function connect({ config, log, signal }: Job, number: number): Promise<Shard> {
  const { endpoint, identity } = config.shards[number]!;
  return openSealedShard({ endpoint, identity, witness: config.plan.witnesses[number]!, logger: log, signal });
}
