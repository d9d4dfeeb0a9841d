import { expect, it } from 'vitest';
import { shardOf } from '#queue/identity.ts';
import { until } from '#test/support/until.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, openSocket, separator, type WireClient } from './wireclient.ts';

async function seated(session: TestSession, gateway: TestGateway, student: string): Promise<WireClient> {
  const client = await connect(gateway.url, await session.token(student));
  expect(await client.invoke('Open', 'writer-01')).toHaveProperty('result');
  return client;
}

/** A student of that shard, of two. */
const ofShard = (shard: number) => ['a', 'b', 'c', 'd', 'e', 'f'].find((student) => shardOf(student, 2) === shard)!;

const submit = (seq: number, event: string) => `{"type":1,"target":"Submit","arguments":[${seq},${event}]}${separator}`;

it('stops reading while the shard is away, refuses newcomers, and loses nothing', { timeout: 40_000 }, async () => {
  const session = await startSession({ shards: 2 });
  const { redis } = session.shards[0]!;
  const gateway = await session.start({ limits: { pendingEvents: 500, studentMessageBurst: 1e6 } });
  const [flooder, calm] = [await seated(session, gateway, ofShard(0)), await seated(session, gateway, ofShard(1))];
  const health = await gateway.health();
  expect(health.shards.map(({ pressed }) => pressed)).toEqual([false, false]);

  redis.pause();
  const events = 4_000;
  for (let seq = 1; seq <= events; seq++) flooder.ws.send(submit(seq, `"${'x'.repeat(100)}"`));
  const pressed = await until(
    async () => {
      const { shards, pendingEvents } = await gateway.health();
      return shards[0]!.pressed && pendingEvents;
    },
    { what: 'pressure' },
  );
  expect(pressed).toBeLessThan(1_500);
  await expect(openSocket(gateway.url, await session.token(ofShard(0)))).rejects.toThrow(/503 .*"pressure"/);
  expect(await calm.invoke('Submit', 1, 'calm')).toEqual({ result: null });
  expect((await gateway.ops('/ready')).status).toBe(200);

  redis.resume();
  await until(() => flooder.calls('Durable').at(-1)?.[0] === events, { what: 'everything durable', timeoutMs: 20_000 });
  const logged = (await session.logged()).filter(({ student }) => student === ofShard(0));
  expect(logged.map(({ seq }) => seq)).toEqual(Array.from({ length: events }, (_, index) => index + 1));
  expect((await gateway.health()).shards[0]!.pressed).toBe(false);
});

it('serves one shard while Redis of another is killed, and acknowledges when it is back', {
  timeout: 40_000,
}, async () => {
  const session = await startSession({ shards: 2 });
  const gateway = await session.start();
  const [away, fine] = [await seated(session, gateway, ofShard(0)), await seated(session, gateway, ofShard(1))];
  await away.invoke('Submit', 1, 1);
  await session.shards[0]!.redis.kill9();
  const waiting = away.invoke('Submit', 2, 2);
  expect(await fine.invoke('Submit', 1, 1)).toEqual({ result: null });
  await until(async () => (await gateway.health()).shards[0]!.phase === 'connecting', {
    what: 'the shard to be missed',
  });
  expect((await gateway.health()).shards[0]!.problem).toMatchObject({
    code: expect.any(String),
    remedy: expect.any(String),
  });
  await session.shards[0]!.redis.restart();
  expect(await waiting).toEqual({ result: null });
  expect((await session.logged()).filter(({ student }) => student === ofShard(0))).toHaveLength(2);
});

it('reads a student who floods later, and others as ever', { timeout: 30_000 }, async () => {
  const session = await startSession();
  const gateway = await session.start({ limits: { studentMessagesPerSecond: 2_000, studentMessageBurst: 500 } });
  const [flooder, calm] = [await seated(session, gateway, 'flooder'), await seated(session, gateway, 'calm')];
  const events = 4_000;
  const start = performance.now();
  for (let seq = 1; seq <= events; seq++) flooder.ws.send(submit(seq, `"${'x'.repeat(150)}"`));
  for (let seq = 1; seq <= 10; seq++) {
    const sent = performance.now();
    expect(await calm.invoke('Submit', seq, seq)).toEqual({ result: null });
    expect(performance.now() - sent).toBeLessThan(500);
  }
  await until(() => flooder.calls('Durable').at(-1)?.[0] === events, { what: 'everything durable', timeoutMs: 15_000 });
  expect(performance.now() - start).toBeGreaterThan(1_000);
  expect(await session.logged()).toHaveLength(events + 10);
});

it('cuts off a client that asks and never reads, with bounded memory', { timeout: 30_000 }, async () => {
  const session = await startSession();
  const gateway = await session.start({ limits: { studentMessageBurst: 1e9, studentMessagesPerSecond: 1e9 } });
  const [deaf, calm] = [await seated(session, gateway, 'deaf'), await seated(session, gateway, 'calm')];
  deaf.ws.pause();
  const record = `{"type":1,"invocationId":"1","target":"Nonsense","arguments":[]}${separator}`;
  const message = record.repeat(900);
  await until(
    async () => {
      for (let count = 0; count < 20; count++) deaf.ws.send(message);
      expect(deaf.ws.bufferedAmount).toBeLessThan(200_000_000);
      return (await gateway.health()).connections === 1;
    },
    { what: 'the end of the deaf one', timeoutMs: 20_000 },
  );
  expect(await calm.invoke('Submit', 1, 1)).toEqual({ result: null });
  deaf.ws.terminate();
});
