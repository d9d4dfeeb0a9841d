import { expect, test, vi } from 'vitest';
import { startProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';
import { loadAll, publish } from './job.ts';
import { outcomeOf, startLoad } from './programs.ts';
import { type SealedSession, sealedSession } from './sealedsession.ts';

// Starting programs takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const fails = (code: string, text: string) => ({ code, message: expect.stringContaining(text) });

function shardsWith(session: SealedSession, changes: object): Record<string, unknown> {
  const { endpoint, identity } = session.shards[0]!;
  return { shards: [{ ...endpoint, incarnation: identity.incarnation, ...changes }] };
}

test('refuses a Redis that is not the one that was sealed, and says why', async () => {
  const session = await sealedSession({ shards: 1, rounds: 1 });
  const [witness] = session.witnesses;
  let attempt = 0;
  const refused = async (changes: Record<string, unknown>, code: string, text: string) =>
    expect(loadAll(session.config(++attempt, changes))).rejects.toMatchObject(fails(code, text));
  await refused(shardsWith(session, { incarnation: 'another' }), 'shard_foreign', 'incarnation');
  await refused({ witnesses: [{ ...witness, events: 25 }] }, 'witness_differs', 'sealed with 25');
  await refused({ witnesses: [{ ...witness, digest: 'a'.repeat(40) }] }, 'witness_differs', 'digest');
  // An older volume: it ends before what was witnessed.
  const later = `${Number(witness!.lastId.split('-')[0]) + 1}-0`;
  await refused({ witnesses: [{ ...witness, lastId: later }] }, 'shard_lost', 'has lost data');
  await session.shards[0]!.shard.run((redis) => redis.hdel('state', 'sealed'));
  await refused({}, 'log_not_sealed', 'is not sealed');
});

test('refuses a log of which an entry is missing, or was added after the seal', async () => {
  const session = await sealedSession({ shards: 2 });
  const { shard } = session.shards[0]!;
  const [entry] = await shard.run((redis) => redis.xrangeBuffer('events', '-', '+', 'COUNT', 1));
  const [id, fields] = entry as [Buffer, Buffer[]];
  await shard.run((redis) => redis.xdel('events', id.toString()));
  await expect(loadAll(session.config(1))).rejects.toMatchObject(fails('log_corrupt', 'comes after'));
  await shard.run((redis) => redis.xadd('events', '*', ...fields));
  await expect(loadAll(session.config(2))).rejects.toMatchObject({ code: 'log_corrupt' });
  await expect(publish(session.config(2))).rejects.toMatchObject({ code: 'staging_incomplete' });
});

test('a Redis that goes away in the middle is another attempt, not the end', async () => {
  const session = await sealedSession({ shards: 1, rounds: 30 });
  const { redis, identity } = session.shards[0]!;
  const proxy = await startProxy(redis);
  const shards = [{ host: proxy.host, port: proxy.port, incarnation: identity.incarnation }];
  proxy.cutAfter('down', 20_000);
  await expect(loadAll(session.config(1, { shards }))).rejects.toMatchObject({ code: 'shard_unreachable' });
  await expect(loadAll(session.config(1, { shards }))).rejects.toMatchObject({ code: 'staging_ambiguous' });
  await loadAll(session.config(2, { shards }));
  // And in the middle of the proof, when all is published.
  proxy.cutAfter('down', 20_000);
  await expect(publish(session.config(2, { shards }))).rejects.toMatchObject({ code: 'shard_unreachable' });
  expect(await publish(session.config(2, { shards }))).toMatchObject({ already: true, rows: session.total });
});

test('a Redis that is started again meanwhile is waited for', async () => {
  const session = await sealedSession({ shards: 1 });
  const { redis } = session.shards[0]!;
  await redis.kill9();
  const load = startLoad(session.config(1), 0);
  await until(() => load.stderr.includes('shard connecting'), { what: 'the loader to wait', timeoutMs: 30_000 });
  await redis.restart();
  expect((await outcomeOf(load)).exit.code).toBe(0);
  expect(await publish(session.config(1))).toMatchObject({ verified: true, rows: session.total });
});
