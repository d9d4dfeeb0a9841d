import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { between, type Random, seededRandom } from '#cli/random.ts';
import { readLog } from '#queue/log.ts';
import { seal } from '#queue/seal.ts';
import { scanWriters } from '#queue/writerstate.ts';
import { long } from '#test/support/long.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { startProxy, type TcpProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';
import { collect } from './collect.ts';
import type { FromGateway, HistoryGatewayConfig } from './historygateway.ts';
import { findFaults } from './historyledger.ts';
import { type GatewayLine, type HistoryStudent, historyStudent, type Room } from './historystudent.ts';
import { startShard, type TestShard } from './testshard.ts';

// Students write through three processes into two shards, while a schedule that follows from one seed kills Redis and
// the processes (SIGKILL), cuts connections, loses replies, and holds bytes back until after a time-out. At the end the
// network heals, everybody finishes, the shards are sealed, and a checker compares what students were told with the log.

const shardCount = 2;
const gatewayCount = 3;
const kills = long ? 220 : 12;
const program = fileURLToPath(new URL('./historygateway.ts', import.meta.url));

type Act =
  | { readonly kind: 'kill redis' | 'kill gateway'; readonly index: number; readonly downMs: number }
  | { readonly kind: 'cut' | 'cut after' | 'swallow'; readonly index: number; readonly bytes: number }
  | { readonly kind: 'pause' | 'refuse' | 'stop redis'; readonly index: number; readonly ms: number };

/** The schedule of a seed: after each pause (ms) one act. One in three acts is a kill. */
function makeSchedule(random: Random): { readonly afterMs: number; readonly act: Act }[] {
  return Array.from({ length: 3 * kills }, (_, i) => ({
    afterMs: between(random, 20, 220),
    act: i % 3 === 0 ? aKill(random) : aTrouble(random),
  }));
}

function aKill(random: Random): Act {
  const kind = random() < 0.6 ? 'kill redis' : 'kill gateway';
  return { kind, index: between(random, 0, 5), downMs: random() < 0.5 ? 0 : between(random, 0, 400) };
}

function aTrouble(random: Random): Act {
  const index = between(random, 0, 5);
  const kind = (['cut', 'cut after', 'swallow', 'swallow', 'pause', 'refuse', 'stop redis'] as const)[
    between(random, 0, 6)
  ]!;
  if (kind === 'pause' || kind === 'refuse' || kind === 'stop redis')
    return { kind, index, ms: between(random, 50, 700) };
  return { kind, index, bytes: between(random, 1, 3_000) };
}

/** A process that plays a gateway, with a network of its own to each shard. It is started again whenever it is killed. */
interface HistoryGateway extends GatewayLine {
  readonly proxies: readonly TcpProxy[];
  kill(): void;
  start(): Promise<void>;
}

async function createGateway(shards: readonly TestShard[], room: Room): Promise<HistoryGateway> {
  const proxies = await Promise.all(shards.map(({ redis }) => startProxy(redis)));
  const config: HistoryGatewayConfig = {
    shards: shards.map(({ identity }, i) => ({ port: proxies[i]!.port, identity })),
  };
  let running: Program | null = null;
  let isReady = false;
  return {
    proxies,
    get isUp() {
      return isReady;
    },
    send: (message) => {
      if (isReady) running?.child.send(message, () => undefined);
    },
    kill() {
      isReady = false;
      running?.kill();
    },
    async start() {
      const started = startProgram({ argv: [process.execPath, program, JSON.stringify(config)], ipc: true });
      running = started;
      started.child.on('message', (message: FromGateway) => {
        if (message.kind === 'ready') isReady = running === started;
        else room.connections.get(message.id)?.(message);
      });
      await until(() => isReady || started.exit, { what: 'a gateway to start', timeoutMs: 20_000 });
    },
  };
}

async function take(act: Act, shards: readonly TestShard[], gateways: readonly HistoryGateway[]): Promise<void> {
  const { redis } = shards[act.index % shardCount]!;
  const gateway = gateways[act.index % gatewayCount]!;
  const proxy = gateway.proxies[act.index % shardCount]!;
  switch (act.kind) {
    case 'kill redis':
      await redis.kill9();
      await sleep(act.downMs);
      return redis.restart();
    case 'kill gateway':
      gateway.kill();
      await sleep(act.downMs);
      return gateway.start();
    case 'cut':
      return proxy.cutAll();
    case 'cut after':
      return proxy.cutAfter(act.bytes % 2 === 0 ? 'up' : 'down', act.bytes);
    case 'swallow':
      return void proxy.swallowReplies(Math.ceil(act.bytes / 50));
    case 'pause':
      proxy.pause();
      await sleep(act.ms);
      return proxy.resume();
    case 'refuse':
      proxy.refuse();
      proxy.cutAll();
      await sleep(act.ms);
      return proxy.allow();
    case 'stop redis':
      redis.pause();
      await sleep(act.ms);
      return redis.resume();
  }
}

/** Two devices of some students, one of others, and pairs of copies of one outbox. */
function createStudents(room: Room): HistoryStudent[] {
  const names = Array.from({ length: 24 }, (_, i) => `student ${i % 16}`);
  const students = names.map((student, i) => historyStudent(room, student, `writer-${i}-device`, 'original'));
  const copies = [0, 1, 2, 3, 4, 5].map((i) =>
    historyStudent(room, `copied ${i >> 1}`, 'writer-of-two', i % 2 === 0 ? 'one' : 'other'),
  );
  return [...students, ...copies];
}

async function play(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const schedule = makeSchedule(random);
  const uid = randomUUID();
  const identities = Array.from({ length: shardCount }, (_, shard) => ({ uid, shard, shards: shardCount }));
  const shards = await Promise.all(identities.map((identity) => startShard({ identity })));
  const gateways: HistoryGateway[] = [];
  const room: Room = {
    ...{ uid, random, gateways, isWriting: true },
    ...{ sent: [], acknowledged: [], violations: [], connections: new Map() },
  };
  for (let i = 0; i < gatewayCount; i++) gateways.push(await createGateway(shards, room));
  await Promise.all(gateways.map((gateway) => gateway.start()));
  const students = createStudents(room);
  const everybody = Promise.all(students.map((student) => student.run()));

  const ends = [];
  for (const { afterMs, act } of schedule) {
    await sleep(afterMs);
    const isKill = act.kind.startsWith('kill') || act.kind === 'stop redis';
    // Kills wait for each other, so that a Redis is not started twice; troubles of the network overlap with all.
    if (isKill) await take(act, shards, gateways);
    else ends.push(take(act, shards, gateways));
  }
  await Promise.all(ends);
  for (const proxy of gateways.flatMap(({ proxies }) => proxies)) proxy.cutAll();
  room.isWriting = false;
  await until(() => students.every(({ isDone }) => isDone), { what: 'everybody to finish', timeoutMs: 20_000 }).catch(
    (error: Error) => {
      const open = students.filter(({ isDone }) => !isDone);
      throw new Error(
        `${error.message}: ${open.map((one) => `${one.student} ${one.acked}/${one.written}`).join(', ')}`,
      );
    },
  );
  await everybody;
  await check(shards, room, students);
}

async function check(shards: readonly TestShard[], room: Room, students: readonly HistoryStudent[]): Promise<void> {
  const [logs, writers] = [[], []] as [Awaited<ReturnType<typeof logOf>>[], Awaited<ReturnType<typeof writersOf>>[]];
  for (const { shard } of shards) {
    await shard.ready(10_000);
    await seal(shard);
    logs.push(await logOf(shard));
    writers.push(await writersOf(shard));
  }
  expect(room.violations).toEqual([]);
  expect(findFaults({ ...room, logs, writers })).toEqual([]);
  expect(students.filter(({ isForked }) => isForked).every(({ student }) => student.startsWith('copied'))).toBe(true);
  const events = logs.reduce((sum, log) => sum + log.length, 0);
  const acked = new Set(room.acknowledged.map(({ student, writer, seq }) => `${student} ${writer} ${seq}`)).size;
  console.log(`  ${kills} kills, ${acked} events acknowledged, ${events} in the logs, ${lastOf(room)} connections`);
  expect(acked).toBeGreaterThan(kills * 20);
}

function lastOf({ connections }: Room): number {
  return connections.size;
}

async function logOf(shard: TestShard['shard']) {
  return (await collect(readLog(shard, { untilSeal: true }))).flatMap(({ events }) => events);
}

function writersOf(shard: TestShard['shard']) {
  return collect(scanWriters(shard));
}

test('histories: whatever is killed, cut and lost, what was acknowledged is in the log, once and in order', {
  timeout: long ? 600_000 : 60_000,
}, async () => {
  const seed = Number(process.env.UNTRADEX_SEED ?? randomInt(2 ** 31));
  console.log(`seed ${seed} (UNTRADEX_SEED=${seed} plays this schedule again)`);
  await play(seed);
});
