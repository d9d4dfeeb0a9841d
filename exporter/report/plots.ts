import type { Report } from '../report.ts';
import { clock, count, counted, duration } from './figures.ts';
import type { Plot, PlotPoint, PlotSeries } from './plot.ts';
import { endOf, type Timeline } from './timeline.ts';

/** Pure: what is plotted of the exam. */
export function examPlots({ timeline, samples }: Report): Plot[] {
  return [...(timeline === null ? [] : timelinePlots(timeline)), ...samplePlots(samples)];
}

/** Pure: what is plotted of the export. Empty when no loader noted its pace. */
export function exportPlots({ shards }: Report): Plot[] {
  const paced = shards.filter(({ staged }) => staged?.pace && staged.pace.length > 0);
  if (paced.length === 0) return [];
  const begun = Math.min(...paced.map(({ staged }) => Date.parse(staged!.startedAt)));
  const series = paced.map(({ shard, staged }): PlotSeries => {
    const after = Date.parse(staged!.startedAt) - begun;
    const points = staged!.pace!.map(([ms, rows]): PlotPoint => [after + ms, rows]);
    return { name: `shard ${shard}`, points: [[after, 0], ...points] };
  });
  const slowest = paced.reduce((a, b) => (b.staged!.rowsPerSecond < a.staged!.rowsPerSecond ? b : a));
  return [
    {
      ...{ id: 'loading', title: 'Rows staged while loading, by shard', x: 'duration', unit: 'rows', shape: 'line' },
      filled: false,
      series,
      summary: `Each line is a shard${paced.length < shards.length ? ` that noted its pace (${paced.length} of ${shards.length})` : ''}. The slowest was shard ${slowest.shard}, with ${count(slowest.staged!.rowsPerSecond)} rows a second.`,
    },
  ];
}

function timelinePlots(timeline: Timeline): Plot[] {
  const { stepMs, events, shards } = timeline;
  const start = Date.parse(timeline.startedAt);
  const end = endOf(timeline);
  const seconds = stepMs / 1_000;
  const rates = events.map((number) => number / seconds);
  const peak = rates.reduce((best, rate, step) => (rate > rates[best]! ? step : best), 0);
  const total = events.reduce((sum, number) => sum + number, 0);
  const most = counted(Math.max(...shards.map(sum)), 'row');
  const fewest = counted(Math.min(...shards.map(sum)), 'row');
  return [
    {
      ...{ id: 'events', title: 'Answers per second', x: 'time', unit: 'answers/s', shape: 'steps', filled: true },
      series: [{ name: 'answers per second', points: stepped(rates, start, stepMs) }],
      summary:
        `When answers became durable, as the sealed log says, in steps of ${duration(stepMs)}. The most was ` +
        `${count(rates[peak]!)} a second, at ${clock(start + peak * stepMs)}; ` +
        `the mean ${count(total / ((end - start) / 1_000))} over ${duration(end - start)}.`,
    },
    {
      ...{ id: 'shards', title: 'Rows of each shard', x: 'time', unit: 'rows', shape: 'line', filled: false },
      series: shards.map((numbers, shard) => ({ name: `shard ${shard}`, points: summed(numbers, start, stepMs) })),
      summary:
        shards.length === 1
          ? `All answers went to one shard: ${most}.`
          : `Each line is a shard, as its log grew: from ${fewest} to ${most} at the end.`,
    },
  ];
}

function samplePlots(samples: Report['samples']): Plot[] {
  if (samples === null) return [];
  const start = Date.parse(samples.startedAt);
  const at = (values: readonly (number | null)[]) =>
    values.flatMap((value, i): PlotPoint[] =>
      value === null ? [] : [[start + samples.steps[i]! * samples.stepMs, value]],
    );
  const [p50, p99] = [at(samples.ackP50), at(samples.ackP99)];
  const connected = samples.students.reduce((most, value) => Math.max(most, value), 0);
  return [
    ...(p50.length === 0 ? [] : [latencyPlot(p50, p99)]),
    {
      ...{ id: 'students', title: 'Students connected', x: 'time', unit: 'students', shape: 'steps', filled: true },
      series: [{ name: 'students', points: at(samples.students) }],
      summary: `${counted(connected, 'student')} at the most, as the gateways saw them.`,
    },
  ];
}

function latencyPlot(p50: readonly PlotPoint[], p99: readonly PlotPoint[]): Plot {
  const [, median] = p50.at(-1)!;
  const [last, slow] = p99.at(-1)!;
  return {
    ...{ id: 'latency', title: 'Time to acknowledge an answer', x: 'time', unit: 'ms', shape: 'line' },
    filled: false,
    series: [
      { name: 'median (p50)', points: p50 },
      { name: '99 of 100 (p99)', points: p99 },
    ],
    summary:
      'From its arrival at a gateway until it was durable, of all answers that the gateways running then had ' +
      `acknowledged since they started. At ${clock(last)}, the latest that is known, half took ${median} ms at most, and 99 of 100 ${slow} ms.`,
  };
}

/** The last value holds for a whole step, too. */
function stepped(values: readonly number[], start: number, stepMs: number): PlotPoint[] {
  const points = values.map((value, step): PlotPoint => [start + step * stepMs, value]);
  return [...points, [start + values.length * stepMs, values.at(-1)!]];
}

function summed(values: readonly number[], start: number, stepMs: number): PlotPoint[] {
  let total = 0;
  const points: PlotPoint[] = [[start, 0]];
  for (const [step, value] of values.entries()) {
    total += value;
    points.push([start + (step + 1) * stepMs, total]);
  }
  return points;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
