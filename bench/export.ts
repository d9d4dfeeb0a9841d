import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sessionRoot } from '#queue/merkle.ts';
import { seal } from '#queue/seal.ts';
import { createShardWriter, type Lane, type ShardWriter } from '#queue/shardwriter.ts';
import { readWitness } from '#queue/witness.ts';
import { scanWriters } from '#queue/writerstate.ts';
import { peakBytes } from './cpu.ts';
import { type BenchProcess, start } from './processes.ts';
import { type BenchShard, startShard } from './stack.ts';

export interface StepResult {
  readonly step: 'load' | 'publish' | 'verify';
  readonly rowsPerSecond: number;
  readonly seconds: number;
  /** Highest resident memory of the step's process (publish and verify share one); null where the system hides it. */
  readonly peakBytes: number | null;
}

export interface ExportResult {
  readonly rows: number;
  readonly steps: readonly StepResult[];
  /** The driver alone, with rows that lie ready, to the same Parquet file. */
  readonly bareRowsPerSecond: number;
  /** Loader (reading, checking and numbering included) / the driver alone. */
  readonly loadRatio: number;
}

const students = 4_000;

/** Fills one shard with `rows` answers, seals it, exports it with the real programs, and runs the yardstick beside. */
export async function measureExport(folder: string, rows: number): Promise<ExportResult> {
  const shard = await startShard(folder, null);
  try {
    await fill(shard, rows);
    const config = await sealedConfig(folder, shard);
    const command = [process.execPath, 'exporter/main.ts'];
    const load = await finish(start(null, [...command, 'load', '--config', config, '--shard', '0']));
    const publish = await finish(start(null, [...command, 'publish', '--config', config]));
    const rates = publish.result.rates as Record<'publish' | 'verify', number>;
    const loaded = Number(load.result.rowsPerSecond);
    const bare = await finish(
      start(null, [process.execPath, 'bench/bareduckdb.ts', String(rows), join(folder, 'bare.parquet')]),
    );
    const bareRowsPerSecond = rows / Number(bare.result.seconds);
    const step = (name: StepResult['step'], rowsPerSecond: number, peak: number | null): StepResult => ({
      step: name,
      rowsPerSecond,
      seconds: rows / rowsPerSecond,
      peakBytes: peak,
    });
    return {
      rows,
      steps: [
        step('load', loaded, load.peak),
        step('publish', rates.publish, publish.peak),
        step('verify', rates.verify, publish.peak),
      ],
      bareRowsPerSecond,
      loadRatio: loaded / bareRowsPerSecond,
    };
  } finally {
    await shard.stop();
  }
}

/** Waits for a program to end well; its last line, and its highest memory as last seen before each line. */
async function finish(program: BenchProcess): Promise<{ result: Record<string, unknown>; peak: number | null }> {
  let peak: number | null = null;
  for (;;) {
    const line = await program.nextLine();
    peak = Math.max(peak ?? 0, peakBytes(program.pid) ?? 0) || peak;
    if (line.kind === 'problem') throw new Error(`${line.code}: ${line.message}`);
    if (line.kind === 'progress') continue;
    await program.exited;
    return { result: line, peak };
  }
}

/** Offers answers of all students in turn, at most a pending mark at a time, until everything is durable. */
async function fill({ shard }: BenchShard, rows: number): Promise<void> {
  const writer = createShardWriter({ shard });
  const lanes = await attachAll(writer);
  for (let made = 0; made < rows; made++) {
    const lane = lanes[made % students]!;
    const seq = Math.floor(made / students) + 1;
    const payload = Buffer.from(JSON.stringify({ question: seq, answer: 'x'.repeat(130) }));
    const offer = writer.offer(lane, seq, payload, Date.now());
    if (offer !== 'accepted') throw new Error(`an answer was not taken: ${offer}`);
    if (made % 20_000 === 19_999) await settled(writer);
  }
  if (!(await writer.drain(60_000))) throw new Error('the queue did not take the rows within 60 s');
  writer.close();
}

async function attachAll(writer: ShardWriter): Promise<Lane[]> {
  const listener = {
    durable: () => {},
    refused: (kind: string) => {
      throw new Error(`an answer was refused: ${kind}`);
    },
  };
  return Promise.all(
    Array.from({ length: students }, (_, i) => writer.attach(`student-${i}`, `bench-writer-${i}`, listener)),
  );
}

async function settled(writer: ShardWriter): Promise<void> {
  for (const giveUpAt = Date.now() + 60_000; writer.stats().pendingEvents > 0; ) {
    if (Date.now() > giveUpAt) throw new Error('the queue did not take the rows within 60 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function sealedConfig(folder: string, bench: BenchShard): Promise<string> {
  await seal(bench.shard);
  const { sealed: _, ...witness } = await readWitness(bench.shard);
  const writers = [];
  for await (const writer of scanWriters(bench.shard)) writers.push(writer);
  const path = join(folder, 'exporter.json');
  const config = {
    session: { name: 'bench', uid: bench.uid, exam: 'bench', rehearsal: false },
    attempt: 1,
    shards: [{ host: '127.0.0.1', port: bench.port, incarnation: bench.incarnation }],
    witnesses: [witness],
    root: sessionRoot(writers),
    sink: { kind: 'duckdb', database: join(folder, 'exams.duckdb'), staging: join(folder, 'export') },
    table: 'EXAM_ANSWERS',
    report: join(folder, 'report.json'),
    logLevel: 'warn',
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}
