import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpuSeconds } from './cpu.ts';
import type { LoadOptions, LoadResult } from './load.ts';
import { type BenchProcess, start } from './processes.ts';
import { type BenchGateway, type BenchShard, startGateway, startShard } from './stack.ts';

const serverCore = 0;
const generatorCore = 1;
const messageBytes = 159;

/** One load on both peers, one after the other, so that a noisy machine disturbs both. */
export interface Cell {
  readonly connections: number;
  readonly inFlight: number;
  /** Several replacements leave in one write, as from a page that answers in bursts; else one write a message. */
  readonly bundled: boolean;
}

export const cells: readonly Cell[] = [
  { connections: 200, inFlight: 1, bundled: true },
  { connections: 4_000, inFlight: 1, bundled: true },
  { connections: 200, inFlight: 8, bundled: true },
  { connections: 4_000, inFlight: 8, bundled: true },
  { connections: 4_000, inFlight: 8, bundled: false },
];

/** CPU in microseconds per acknowledged event, by process. */
export interface Measured {
  readonly eventsPerSecond: number;
  readonly microseconds: Readonly<Record<string, number>>;
  readonly ackMs: LoadResult['ackMs'];
}

export interface CellResult extends Cell {
  readonly echo: Measured;
  readonly untradex: Measured;
  /** (gateway + Redis) / bare ws, CPU per acknowledged event: the median over the rounds. */
  readonly ratio: number;
  readonly ratios: readonly number[];
}

type Target = Pick<LoadOptions, 'peer' | 'port' | 'tokens'>;
type Load = Pick<LoadOptions, 'connections' | 'inFlight' | 'bundled' | 'eventsPerSecond' | 'seconds'>;

/** Runs the generator once, and takes the CPU of the named processes while it measured. */
export async function applyLoad(
  folder: string,
  target: Target,
  load: Load,
  pids: Readonly<Record<string, number>>,
): Promise<Measured> {
  const options: LoadOptions = { host: '127.0.0.1', warmUpSeconds: 2, messageBytes, ...load, ...target };
  const file = join(folder, 'load.json');
  writeFileSync(file, JSON.stringify(options), { mode: 0o600 });
  const generator = start(generatorCore, [process.execPath, 'bench/load.ts', file]);
  await generator.nextLine();
  const before = Object.entries(pids).map(([name, pid]) => [name, cpuSeconds(pid)] as const);
  const result = (await generator.nextLine()) as unknown as LoadResult;
  const used = before.map(([name, seconds]) => [name, cpuSeconds(pids[name]!) - seconds] as const);
  await generator.exited;
  return {
    eventsPerSecond: result.acknowledged / result.seconds,
    microseconds: Object.fromEntries(used.map(([name, seconds]) => [name, (seconds * 1e6) / result.acknowledged])),
    ackMs: result.ackMs,
  };
}

function total(measured: Measured): number {
  return Object.values(measured.microseconds).reduce((sum, part) => sum + part, 0);
}

function median<T>(items: readonly T[], by: (item: T) => number): T {
  return [...items].sort((a, b) => by(a) - by(b))[Math.floor(items.length / 2)]!;
}

async function startEcho(): Promise<BenchProcess & { port: number }> {
  const echo = start(serverCore, [process.execPath, 'bench/echo.ts']);
  const { port } = await echo.nextLine();
  return { ...echo, port: Number(port) };
}

/** The gateway as a generator's target, with a token for each connection. */
export async function gatewayTarget(gateway: BenchGateway, connections: number): Promise<Target> {
  const students = Array.from({ length: connections }, (_, index) => `student-${index}`);
  return { peer: 'gateway', port: gateway.port, tokens: await Promise.all(students.map(gateway.token)) };
}

/** Runs one cell `rounds` times over: echo, then gateway and Redis, each time fresh processes on the same core. */
export async function measureCell(folder: string, cell: Cell, rounds: number, seconds: number): Promise<CellResult> {
  const load = { ...cell, eventsPerSecond: 0, seconds };
  const pairs: { echo: Measured; untradex: Measured }[] = [];
  for (let round = 0; round < rounds; round++) {
    const echo = await startEcho();
    const echoed = await applyLoad(folder, { peer: 'echo', port: echo.port, tokens: [] }, load, { ws: echo.pid });
    await echo.stop();
    const untradex = await withStack(folder, async (gateway, shard) => {
      return applyLoad(folder, await gatewayTarget(gateway, cell.connections), load, {
        gateway: gateway.pid,
        redis: shard.pid,
      });
    });
    pairs.push({ echo: echoed, untradex });
  }
  const ratios = pairs.map((pair) => total(pair.untradex) / total(pair.echo));
  const middle = median(pairs, (pair) => total(pair.untradex) / total(pair.echo));
  return { ...cell, ...middle, ratio: total(middle.untradex) / total(middle.echo), ratios };
}

async function withStack<T>(folder: string, act: (gateway: BenchGateway, shard: BenchShard) => Promise<T>): Promise<T> {
  const shard = await startShard(folder, serverCore);
  const gateway = await startGateway(folder, serverCore, shard);
  try {
    return await act(gateway, shard);
  } finally {
    await gateway.stop();
    await shard.stop();
  }
}

/** Acknowledgement latency of an exam's steady stream: an open loop, so that a stall shows in all that it delays. */
export async function measureLatency(
  folder: string,
  connections: number,
  eventsPerSecond: number,
  seconds: number,
): Promise<Measured> {
  return withStack(folder, async (gateway, shard) => {
    const load = { connections, inFlight: 1, bundled: false, eventsPerSecond, seconds };
    return applyLoad(folder, await gatewayTarget(gateway, connections), load, {
      gateway: gateway.pid,
      redis: shard.pid,
    });
  });
}
