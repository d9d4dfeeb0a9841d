import { beforeAll, expect, it } from 'vitest';
import { until } from '#test/support/until.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, type WireClient } from './wireclient.ts';

/** Two copies of one outbox (a restored disk, a cloned profile) at one gateway: found out, never merged. */

let session: TestSession;
let gateway: TestGateway;

beforeAll(async () => {
  session = await startSession();
  gateway = await session.start();
}, 60_000);

async function copies(student: string): Promise<[WireClient, WireClient]> {
  const token = await session.token(student);
  const two: [WireClient, WireClient] = [await connect(gateway.url, token), await connect(gateway.url, token)];
  for (const copy of two) expect(await copy.invoke('Open', 'writer-01')).toHaveProperty('result');
  return two;
}

/** Lets both be read before anything becomes durable, so that one flush holds the events of both. */
async function inOneFlush(say: () => void): Promise<void> {
  const { redis } = session.shards[0]!;
  const before = (await gateway.health()).accepted;
  redis.pause();
  say();
  await until(async () => (await gateway.health()).accepted >= before + 2, { what: 'the events to be accepted' });
  redis.resume();
}

const logOf = async (student: string) =>
  (await session.logged()).filter((event) => event.student === student).map((event) => event.payload);

it('none is told durable what only the other one sent', async () => {
  const [one, two] = await copies('told');
  await inOneFlush(() => {
    one.send('Submit', 1, 'same');
    two.send('Submit', 1, 'same');
    two.send('Submit', 2, 'only the second one’s');
  });
  await two.called('Durable', ([seq]) => seq === 2);
  await one.called('Durable');
  expect(one.calls('Durable')).toEqual([[1]]);
  one.send('Submit', 2, 'the first one’s own');
  await one.called('Refused', ([kind]) => kind === 'forked');
  expect(one.calls('Durable')).toEqual([[1]]);
});

it('an event is taken only after what the same connection sent before it', async () => {
  const [one, two] = await copies('merged');
  await one.invoke('Submit', 1, 'the first one’s');
  expect(await two.invoke('Submit', 1, 'the second one’s')).toEqual({ error: 'forked' });
  expect(await two.invoke('Submit', 2, 'after the first one’s')).toEqual({ error: 'gap:1' });
  two.send('Submit', 2, 'after the first one’s');
  expect(await two.called('Resend')).toEqual([1]);
  expect(await two.invoke('Submit', 1, 'the first one’s')).toEqual({ result: null });
  expect(await two.invoke('Submit', 2, 'now it fits')).toEqual({ result: null });
  expect(await one.invoke('Submit', 2, 'too late')).toEqual({ error: 'forked' });
  expect(await logOf('merged')).toEqual(['"the first one’s"', '"now it fits"']);
});

it('what became durable after Open counts as known only from Open on', async () => {
  const [one, two] = await copies('reopened');
  await one.invoke('Submit', 1, 'one');
  expect(await two.invoke('Submit', 2, 'unseen')).toEqual({ error: 'gap:1' });
  expect((await two.invoke('Open', 'writer-01')).result).toMatchObject({ durableSeq: 1 });
  expect(await two.invoke('Submit', 2, 'two')).toEqual({ result: null });
});
