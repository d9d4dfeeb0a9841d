import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** What was seen of the gateways while the exam went on, thinned: of each step the highest values. */
export interface SampleCurves {
  /** Where the samples are (NDJSON). */
  readonly file: string;
  /** Beginning of the first step: ISO 8601, UTC. */
  readonly startedAt: string;
  readonly stepMs: number;
  /** Which step each value is of, from 0; a step without samples is left out. All of these lists have one length. */
  readonly steps: readonly number[];
  readonly students: readonly number[];
  readonly connections: readonly number[];
  /** Acknowledgements of each gateway since it started: their median and 99th of a hundred, ms; null: none yet. */
  readonly ackP50: readonly (number | null)[];
  readonly ackP99: readonly (number | null)[];
}

const number = z.number().min(0);
const sample = z.object({
  at: z.iso.datetime(),
  students: number,
  connections: number,
  ackMs: z.object({ p50: number, p99: number, count: number }),
});

type Values = readonly [students: number, connections: number, p50: number, p99: number, acknowledged: number];

const mostSteps = 240;
/** More lines than a run ever keeps; what follows is not read. */
const mostLines = 100_000;

/**
 * Reads the samples up to a moment (ms since 1970). What is no sample, such as a line that a crash cut, is passed
 * over. Null when there are none.
 */
export async function readSampleCurves(file: string, until: number): Promise<SampleCurves | null> {
  const samples: { at: number; values: Values }[] = [];
  for await (const line of linesOf(file)) {
    const found = parse(line);
    if (found !== null && found.at <= until) samples.push(found);
    if (samples.length >= mostLines) break;
  }
  if (samples.length === 0) return null;
  const first = samples.reduce((least, { at }) => Math.min(least, at), samples[0]!.at);
  const last = samples.reduce((most, { at }) => Math.max(most, at), first);
  let stepMs = 1_000;
  while (Math.floor(last / stepMs) - Math.floor(first / stepMs) >= mostSteps) stepMs *= 2;
  const start = Math.floor(first / stepMs);
  const highest = new Map<number, Values>();
  for (const { at, values } of samples) {
    const step = Math.floor(at / stepMs) - start;
    const before = highest.get(step) ?? values;
    highest.set(step, values.map((value, i) => Math.max(value, before[i]!)) as unknown as Values);
  }
  const steps = [...highest.entries()].sort(([a], [b]) => a - b);
  const column = (index: number) => steps.map(([, values]) => values[index]!);
  const times = (index: number) => steps.map(([, values]) => (values[4] === 0 ? null : values[index]!));
  return {
    file,
    startedAt: new Date(start * stepMs).toISOString(),
    stepMs,
    steps: steps.map(([step]) => step),
    ...{ students: column(0), connections: column(1), ackP50: times(2), ackP99: times(3) },
  };
}

async function* linesOf(file: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function parse(line: string): { at: number; values: Values } | null {
  try {
    const { at, students, connections, ackMs } = sample.parse(JSON.parse(line));
    return { at: Date.parse(at), values: [students, connections, ackMs.p50, ackMs.p99, ackMs.count] };
  } catch {
    return null;
  }
}
