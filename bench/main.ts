import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { Command } from 'commander';
import { pinnedTo } from './cpu.ts';
import { measureExport } from './export.ts';
import { type CellResult, cells, measureCell, measureLatency } from './ingest.ts';
import { stopAll } from './processes.ts';
import { type ProfileResult, profileGateway } from './profile.ts';

const program = new Command('bench')
  .description('measures gateway and queue against a bare ws echo server, latency, and the export; loopback only')
  .option('--rounds <n>', 'rounds of each cell; the median counts', Number, 3)
  .option('--seconds <n>', 'length of one measurement', Number, 5)
  .option('--rows <n>', 'rows of the export', Number, 1_000_000)
  .option('--only <part>', 'ingest, profile, latency or export')
  .option('--json', 'print one JSON object instead of tables')
  .addHelpText('after', '\nExamples:\n  npm run bench\n  npm run bench -- --only ingest --rounds 1 --seconds 3\n');
const options = program
  .parse()
  .opts<{ rounds: number; seconds: number; rows: number; only?: string; json?: boolean }>();

const folder = mkdtempSync(join(tmpdir(), 'untradex-bench-'));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
process.on('exit', () => {
  stopAll();
  rmSync(folder, { recursive: true, force: true });
});

const asked = (part: string) => options.only === undefined || options.only === part;
const say = (text: string) => (options.json ? process.stderr : process.stdout).write(`${text}\n`);

const report: Record<string, unknown> = { cpu: cpus()[0]?.model, node: process.version };
const pinning = pinnedTo(0).length > 0 ? 'servers on core 0, generator on core 1' : 'not pinned: this system cannot';
say(`${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.version}; ${pinning}`);

if (asked('ingest')) report.ingest = await ingest();
if (asked('profile')) report.profile = await profile();
if (asked('latency')) report.latency = await latency();
if (asked('export')) report.export = await exported();
if (options.json) process.stdout.write(`${JSON.stringify(report)}\n`);

async function ingest(): Promise<CellResult[]> {
  say(
    `\nGateway plus Redis against a bare ws echo server: CPU per acknowledged event, ${options.rounds} rounds of ${options.seconds} s`,
  );
  const results: CellResult[] = [];
  for (const cell of cells) {
    const result = await measureCell(folder, cell, options.rounds, options.seconds);
    results.push(result);
    say(`  ${result.connections} connections, ${result.inFlight} in flight: ${result.ratio.toFixed(2)}`);
  }
  const head = [
    'connections',
    'in flight',
    'ws',
    'gateway + Redis',
    'acknowledged/s',
    'p50 / p99 ms',
    'ratio (all rounds)',
  ];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { connections, inFlight, bundled, echo, untradex, ratio, ratios } of results) {
    const { gateway = 0, redis = 0 } = untradex.microseconds;
    table.push([
      connections,
      `${inFlight}${bundled ? '' : ', unbundled'}`,
      `${echo.microseconds.ws?.toFixed(1)} µs`,
      `${gateway.toFixed(1)} + ${redis.toFixed(1)} µs`,
      Math.round(untradex.eventsPerSecond).toLocaleString('en'),
      `${untradex.ackMs.p50.toFixed(1)} / ${untradex.ackMs.p99.toFixed(1)}`,
      `${ratio.toFixed(2)} (${ratios.map((each) => each.toFixed(2)).join(' ')})`,
    ]);
  }
  say(table.toString());
  return results;
}

/** Where the gateway's CPU goes. A flat profile is spread over many functions: what is below one per cent is summed. */
async function profile(): Promise<ProfileResult[]> {
  const results: ProfileResult[] = [];
  for (const [connections, inFlight] of [
    [200, 1],
    [4_000, 8],
  ] as const) {
    const result = await profileGateway(folder, { connections, inFlight, seconds: options.seconds });
    results.push(result);
    const shown = result.shares.filter(({ share }) => share >= 0.01);
    const rest = 1 - shown.reduce((sum, { share }) => sum + share, 0);
    say(`\nWhere the gateway's CPU goes, ${connections} connections, ${inFlight} in flight:`);
    for (const { what, share } of shown) say(`  ${(share * 100).toFixed(1).padStart(5)} %  ${what}`);
    say(`  ${(rest * 100).toFixed(1).padStart(5)} %  ${result.shares.length - shown.length} others`);
  }
  return results;
}

async function latency() {
  const [students, eventsPerSecond] = [4_000, 2_000];
  const result = await measureLatency(folder, students, eventsPerSecond, options.seconds * 2);
  const { p50, p99, max } = result.ackMs;
  say(
    `\nAcknowledgement at ${eventsPerSecond} events/s from ${students} students (reached ${Math.round(result.eventsPerSecond)}/s):`,
  );
  say(`  p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`);
  return { students, eventsPerSecond, reached: result.eventsPerSecond, ackMs: result.ackMs };
}

async function exported() {
  say(`\nExport of ${options.rows.toLocaleString('en')} rows of one shard into DuckDB`);
  const result = await measureExport(folder, options.rows);
  const table = new Table({ head: ['step', 'rows/s', 'seconds', 'peak memory'], style: { head: [], border: [] } });
  for (const { step, rowsPerSecond, seconds, peakBytes } of result.steps) {
    const memory = peakBytes === null ? '' : `${Math.round(peakBytes / 2 ** 20)} MiB`;
    table.push([step, Math.round(rowsPerSecond).toLocaleString('en'), seconds.toFixed(1), memory]);
  }
  say(table.toString());
  say(`load / bare DuckDB write of prepared rows: ${result.loadRatio.toFixed(2)}`);
  return result;
}
