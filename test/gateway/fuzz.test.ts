import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { long } from '#test/support/long.ts';
import { until } from '#test/support/until.ts';
import { judge, mutate, randomFrom, type SeedFrames, seedFrames } from './fuzzframes.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, type WireClient } from './wireclient.ts';

/** WebSocket messages that the attackers send at least, and that the gateway looks at. */
const wanted = long ? 2_000_000 : 100_000;
const attackers = 16;

/** Of messages that end a connection, this share is sent: else most would go to connections that are closed already. */
const fatalShare = 0.012;

/** Messages after which a connection that still lives is left. */
const mostMessages = 250;

const seed = Number(process.env.UNTRADEX_FUZZ_SEED ?? Date.now() % 1_000_000);

interface Tally {
  sent: number;
  connections: number;
  readonly closes: Map<number, number>;
}

function rssMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024;
}

/** Attacks over one connection after the other; after each it is known whether the gateway closed as it should. */
async function attack(session: TestSession, gateway: TestGateway, index: number, tally: Tally): Promise<void> {
  const random = randomFrom(seed + index);
  const writer = `attacker${index}-writer`;
  const frames = seedFrames(writer);
  const token = await session.token(`attacker-${index}`);
  while (tally.sent < wanted) {
    const client = await connect(gateway.url, token);
    tally.connections++;
    expect(await client.invoke('Open', writer)).toHaveProperty('result');
    if (await throwAt(client, writer, random, frames, tally)) {
      const { code } = await client.ended();
      expect([1000, 1007, 1008, 1009]).toContain(code);
      tally.closes.set(code, (tally.closes.get(code) ?? 0) + 1);
    } else {
      expect(await client.invoke('Nonsense')).toEqual({ error: 'unknown_method' });
    }
    client.ws.terminate();
  }
}

/** Throws messages until one is fatal, or there were enough. Tells whether one was. */
async function throwAt(
  client: WireClient,
  writer: string,
  random: () => number,
  frames: SeedFrames,
  tally: Tally,
): Promise<boolean> {
  for (let count = 0; count < mostMessages; ) {
    const frame = mutate(random, frames);
    const verdict = judge(frame, writer);
    if (verdict === 'unclear' || (verdict === 'fatal' && random() > fatalShare)) continue;
    client.ws.send(frame.bytes, { binary: frame.binary });
    tally.sent++;
    count++;
    if (verdict === 'fatal') return true;
    if (count % 10 === 0) await until(() => client.ws.bufferedAmount < 500_000, { what: 'room', timeoutMs: 20_000 });
  }
  return false;
}

it(`stays up, small and true to the honest under ${wanted} frames of nonsense (seed ${seed})`, {
  timeout: 600_000,
}, async () => {
  const session = await startSession();
  const none = 1e9;
  const gateway = await session.start({
    logLevel: 'error',
    limits: {
      connectionsPerSecond: none,
      connectionBurst: none,
      studentConnectsPerSecond: none,
      studentConnectBurst: none,
      studentMessagesPerSecond: none,
      studentMessageBurst: none,
      eventLoopDelayMs: none,
    },
  });
  const honest = await connect(gateway.url, await session.token('honest'));
  await honest.invoke('Open', 'honest-writer');
  const tally: Tally = { sent: 0, connections: 0, closes: new Map() };
  let [answered, peak, isOver] = [0, 0, false];
  const honesty = (async () => {
    while (!isOver) {
      expect(await honest.invoke('Submit', ++answered, { answer: answered })).toEqual({ result: null });
      peak = Math.max(peak, rssMiB(gateway.program.pid));
      await sleep(5);
    }
  })();
  try {
    await Promise.all(Array.from({ length: attackers }, (_, index) => attack(session, gateway, index, tally)));
  } finally {
    isOver = true;
    await honesty;
  }

  console.log(
    `seed ${seed}: ${tally.sent} frames, ${tally.connections} connections, ${answered} honest answers, peak RSS ${peak.toFixed()} MiB, closes`,
    Object.fromEntries(tally.closes),
  );
  expect(tally.sent).toBeGreaterThanOrEqual(wanted);
  expect(answered).toBeGreaterThan(20);
  expect(peak).toBeLessThan(400);
  expect(gateway.program.exit).toBeUndefined();
  const health = await gateway.health();
  expect(health.pendingEvents).toBe(0);
  // A changed digit of an attacker's Open claims that more was acknowledged: an alarm is right, one for each of them.
  expect(health.alarms.recent.filter(({ kind, student }) => kind !== 'durable_lost' || student === 'honest')).toEqual(
    [],
  );
  expect(health.alarms.count).toBeLessThanOrEqual(attackers);
  const logged = (gateway.program.stdout + gateway.program.stderr).split('\n').filter(Boolean);
  expect(logged.map((line) => JSON.parse(line).alarm)).toEqual(health.alarms.recent.map(({ kind }) => kind));
  const events = await session.logged();
  const own = events.filter(({ student }) => student === 'honest');
  expect(own.map(({ seq, payload }) => [seq, payload])).toEqual(
    own.map((_, index) => [index + 1, `{"answer":${index + 1}}`]),
  );
  expect(own).toHaveLength(answered);
  // Whatever of the attackers' events got in is in order, once, and JSON.
  const last = new Map<string, number>();
  for (const { student, writer, seq, payload } of events) {
    expect(seq).toBe((last.get(`${student} ${writer}`) ?? 0) + 1);
    last.set(`${student} ${writer}`, seq);
    JSON.parse(payload);
  }
});
