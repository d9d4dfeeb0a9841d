import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { append } from '#queue/append.ts';
import { openClient } from '#queue/client.ts';
import { openShard, type Shard, type ShardState } from '#queue/connect.ts';
import { keys } from '#queue/keys.ts';
import { verdictOf } from '#queue/replyerror.ts';
import { touch } from '#queue/touch.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startProxy } from '#test/support/proxy.ts';
import { startRedis } from '#test/support/redis.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { quickTiming, startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

function phase(shard: Shard, wanted: ShardState['phase']): Promise<unknown> {
  return until(() => shard.state.phase === wanted, { what: `the shard to be ${wanted}` });
}

/** Expects a shard that is not served, with this reason, and does not let anybody run commands. */
async function expectRefused(shard: Shard, message: RegExp | string, wanted: 'refused' | 'lost' = 'refused') {
  await phase(shard, wanted);
  expect(shard.state.problem?.message).toMatch(message);
  expect(shard.state.problem?.remedy).not.toBe('');
  await expect(shard.run((redis) => redis.ping())).rejects.toMatchObject({ code: 'shard_not_ready' });
}

test('an empty, a foreign and a wrong Redis are refused with the reason', async () => {
  const { identity, connect } = await startShard();
  const empty = await startRedis();
  await expectRefused(connect({ endpoint: empty }), /this Redis is empty, it is not shard 0 of session/);
  const wrong = { uid: 'other', shard: 7, shards: 9, incarnation: 'older' };
  for (const [field, value] of Object.entries(wrong)) {
    const shard = connect({ identity: { ...identity, [field]: value } });
    await expectRefused(shard, new RegExp(`the ${field} of this Redis is "[^"]*", not "${value}"`));
  }
  const client = await openClient(empty, 'test', 5_000);
  onScopeEnd(() => client.disconnect());
  expect(await client.dbsize()).toBe(0);
});

test('case 9: a shard of another number of shards is refused, whatever the session has grown to', async () => {
  const { identity, connect } = await startShard({ identity: { shard: 1, shards: 2 } });
  await expectRefused(connect({ identity: { ...identity, shards: 3 } }), 'the shards of this Redis is "2", not "3"');
});

test('case 1: a Redis that does not sync each write, or evicts, is refused, and served once it is mended', async () => {
  const { redis, connect, shard } = await startShard();
  const settings = [
    ['appendfsync', 'everysec', 'always'],
    ['maxmemory-policy', 'allkeys-lru', 'noeviction'],
    ['appendonly', 'no', 'yes'],
  ] as const;
  for (const [name, bad, good] of settings) {
    const client = await openClient(redis, 'test', 5_000);
    await client.config('SET', name, bad);
    const other = connect();
    await expectRefused(other, `this Redis has ${name} "${bad}" where "${good}" is needed`);
    await client.config('SET', name, good);
    await other.ready(5_000);
    await other.close();
    client.disconnect();
  }
  expect(shard.state.phase).toBe('ready');
});

test('a wrong password is refused, and never shown', async () => {
  const { redis, connect } = await startShard();
  const seen: string[] = [];
  const log = (fields: object, message: string) => void seen.push(JSON.stringify(fields) + message);
  const shard = connect({
    endpoint: { host: redis.host, port: redis.port, username: 'gateway', password: 'wr0ng-secret' },
    logger: { info: log, warn: log, error: log },
  });
  await expectRefused(shard, /WRONGPASS/);
  expect(shard.state.problem?.code).toBe('shard_access');
  expect(seen.join()).toContain('refused');
  expect(seen.join() + inspect(shard.state, { depth: 10, showHidden: true })).not.toContain('wr0ng-secret');
});

test('case 2: a Redis on an older copy of its folder is lost, not served, and served again on its own', async () => {
  const { redis, shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  await append(shard, batchOf(share(ann)));
  await redis.stop();
  const copy = tmpFolder('copy');
  cpSync(join(redis.dir, 'appendonlydir'), join(copy, 'appendonlydir'), { recursive: true });
  await redis.restart();
  await shard.ready(5_000);
  const reply = await append(shard, batchOf(share(ann)));
  if (reply.kind === 'ok') shard.saw(reply.entryId);

  await redis.stop();
  const older = await startRedis({ dir: copy, port: redis.port });
  await expectRefused(shard, /this Redis ends at entry \d+-\d+, but \d+-\d+ was durable: it has lost data/, 'lost');
  await older.stop();
  await redis.restart();
  await shard.ready(5_000);
  expect(shard.state).toEqual({ phase: 'ready' });
});

test('case 2: what a process found at an earlier connect counts, also if it never appended anything itself', async () => {
  const { redis, shard, identity, connect } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  await redis.stop();
  const older = tmpFolder('older');
  cpSync(join(redis.dir, 'appendonlydir'), join(older, 'appendonlydir'), { recursive: true });
  await redis.restart();
  await shard.ready(5_000);
  await append(shard, batchOf(share(ann)));
  const reader = connect();
  await reader.ready(5_000);
  await redis.stop();
  await startRedis({ dir: older, port: redis.port });
  await expectRefused(reader, /it has lost data/, 'lost');
});

test('case 2: a Redis on an empty volume is not the shard', async () => {
  const { redis, shard } = await startShard();
  await redis.stop();
  await startRedis({ port: redis.port });
  await expectRefused(shard, /this Redis is empty/);
});

test('case 7: one synced write comes after each connect, before anybody may read', async () => {
  const { redis, shard } = await startShard();
  const barrier = () => shard.run(async (client) => Number(await client.get(keys.barrier)));
  const first = await barrier();
  expect(first).toBeGreaterThan(Date.now() - 60_000);
  await redis.kill9();
  await redis.restart();
  await shard.ready(5_000);
  const second = await barrier();
  expect(second).toBeGreaterThan(first);
  expect(await touch(shard)).toBeGreaterThanOrEqual(second);
});

test('case 6: what was under way when a connection ended is rejected, and never sent again by itself', async () => {
  const { redis, connect, shard } = await startShard();
  const proxy = await startProxy(redis);
  const cut = connect({ endpoint: { host: proxy.host, port: proxy.port } });
  await cut.ready(5_000);
  // The command reaches Redis, its answer does not come back; a second one never leaves.
  const swallowed = proxy.swallowReplies();
  const first = cut.run((client) => client.incr('test-counter'));
  await expect(first).rejects.toMatchObject({ code: 'shard_unreachable' });
  await swallowed;
  await expect(cut.run((client) => client.incr('test-counter'))).rejects.toMatchObject({ code: 'shard_not_ready' });
  await cut.ready(5_000);
  await touch(cut);
  expect(await shard.run((client) => client.get('test-counter'))).toBe('1');
});

test('no answer in time drops the connection, so that a late answer is nobody else’s', async () => {
  const { redis, connect } = await startShard();
  const proxy = await startProxy(redis);
  const shard = connect({
    endpoint: { host: proxy.host, port: proxy.port },
    timing: { ...quickTiming, commandTimeoutMs: 200 },
  });
  await shard.ready(5_000);
  proxy.pause();
  await expect(shard.run((client) => client.echo('one'))).rejects.toMatchObject({ code: 'shard_timeout' });
  expect(shard.state.phase).toBe('connecting');
  proxy.resume();
  await shard.ready(5_000);
  expect(await shard.run((client) => client.echo('two'))).toBe('two');
});

test('a Redis that is silent or gone is waited for, with a reason, and found again', async () => {
  const { redis, connect } = await startShard();
  const shard = connect({ timing: { ...quickTiming, commandTimeoutMs: 300 } });
  await shard.ready(5_000);
  redis.pause();
  await expect(touch(shard)).rejects.toMatchObject({ code: 'shard_timeout' });
  await expect(shard.ready(50)).rejects.toMatchObject({ code: 'shard_not_ready' });
  redis.resume();
  await shard.ready(5_000);
  await redis.kill9();
  await until(() => shard.state.problem?.message.includes('ECONNREFUSED'), { what: 'the reason' });
  expect(shard.state.phase).toBe('connecting');
  await redis.restart();
  await shard.ready(5_000);
  expect(shard.state).toEqual({ phase: 'ready' });
});

test('a script that Redis forgot is loaded again, and the call goes through', async () => {
  const { shard, identity } = await startShard();
  await shard.run((redis) => redis.script('FLUSH'));
  const reply = await append(shard, batchOf(share(testWriter(identity.uid, 'ann', 'writer-1'))));
  expect(reply.kind).toBe('ok');
});

test('a Redis whose data vanished under the connection is noticed by the next script', async () => {
  const { shard, identity } = await startShard();
  await shard.run((redis) => redis.flushall());
  const batch = batchOf(share(testWriter(identity.uid, 'ann', 'writer-1')));
  await expect(append(shard, batch)).rejects.toMatchObject({ code: 'shard_foreign' });
  await expectRefused(shard, /this Redis is empty/);
});

test('closing ends waiting and working, for good; an abort does the same', async () => {
  const { connect, endpoint, identity } = await startShard();
  const shard = connect({ endpoint: { ...endpoint, port: 1 } });
  const waiting = expect(shard.ready(60_000)).rejects.toMatchObject({ code: 'shard_not_ready' });
  await shard.close();
  await waiting;
  expect(shard.state.phase).toBe('closed');

  const stop = new AbortController();
  const states: string[] = [];
  const other = openShard({
    endpoint,
    identity,
    name: 'test',
    signal: stop.signal,
    onState: (state) => states.push(state.phase),
  });
  await other.ready(5_000);
  const cut = other.run((redis) => redis.blpop('test-list', 60));
  stop.abort();
  await expect(cut).rejects.toSatisfy((error) => verdictOf(error) === 'reconnect');
  await other.close();
  expect(states).toEqual(['ready', 'closed']);
});

test('broken is for good', async () => {
  const { shard } = await startShard();
  const broken = Object.assign(new Error('what?'), { code: 'shard_error', remedy: 'restart', name: 'Problem' });
  shard.breakDown(broken);
  shard.trouble(null);
  await expect(shard.ready(5_000)).rejects.toMatchObject({ message: 'the shard is broken: what?' });
  expect(shard.state).toEqual({ phase: 'broken', problem: broken });
});
