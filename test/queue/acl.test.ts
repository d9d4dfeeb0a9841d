import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AclUser, aclFile, aclUsers, passwordHash } from '#queue/acl.ts';
import { formatState, nextChain, originChain } from '#queue/chain.ts';
import { packEvents } from '#queue/codec.ts';
import { emptyDigest, keys } from '#queue/keys.ts';
import { appendScript } from '#queue/scripts/append.ts';
import { finishScript } from '#queue/scripts/finish.ts';
import { initScript } from '#queue/scripts/init.ts';
import { sealScript } from '#queue/scripts/seal.ts';
import { touchScript } from '#queue/scripts/touch.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startRedis, type TestRedis } from '#test/support/redis.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const passwords: Record<AclUser, string> = { gateway: 'password g', exporter: 'password e', operator: 'password o' };
const hashes = {
  gateway: passwordHash(passwords.gateway),
  exporter: passwordHash(passwords.exporter),
  operator: passwordHash(passwords.operator),
};

let server: TestRedis;
const as = {} as Record<AclUser, Redis>;

function connect(user: AclUser): Redis {
  const { host, port } = server;
  const account = { username: user, password: passwords[user] };
  const redis = new Redis({ host, port, ...account, connectionName: 'acl-test', retryStrategy: null });
  onScopeEnd(() => redis.disconnect());
  return redis;
}

beforeAll(async () => {
  const file = join(tmpFolder('acl'), 'users.acl');
  writeFileSync(file, aclFile(hashes));
  server = await startRedis({ aclFile: file });
  for (const user of aclUsers) as[user] = connect(user);
  expect(await call('operator', init)).toEqual(['ok', 'made']);
});

/** A script of the protocol with the keys and arguments of one call. */
interface Call {
  readonly lua: string;
  readonly on: readonly string[];
  readonly args: readonly (string | Buffer)[];
}

async function call(user: AclUser, { lua, on, args }: Call): Promise<unknown> {
  const sha = (await as[user].script('LOAD', lua)) as string;
  return as[user].evalsha(sha, on.length, ...on, ...args);
}

/** Calls a script that makes one call of its own. */
function callWithin(user: AclUser, command: string, key: string, ...args: string[]): Promise<unknown> {
  const lua = `return redis.call('${command}', KEYS[1], unpack(ARGV))`;
  return call(user, { lua, on: [key], args });
}

const uid = '00000000-0000-4000-8000-000000000001';
const event = { student: 'ana', writer: 'writer_1', seq: 1, receivedAt: 1, late: false, payload: Buffer.from('1') };
const batch = packEvents([event]);
const origin = originChain(uid, event.student, event.writer);
const before = formatState({ seq: 0, chain: origin });
const after = formatState({ seq: 1, chain: nextChain(origin, event.payload) });

const init: Call = { lua: initScript, on: [keys.meta], args: ['incarnation', uid, 'algebra', '0', '1'] };
const touch: Call = { lua: touchScript, on: [keys.meta, keys.barrier], args: ['incarnation'] };
const append: Call = {
  lua: appendScript,
  on: [keys.meta, keys.session, keys.state, keys.writers, keys.students, keys.events, keys.finished, keys.deadlines],
  args: [
    ...['incarnation', batch, 'raw', '1', hash('sha256', batch)],
    ...[event.student, event.writer, before, after, '0'],
  ],
};
const finish: Call = {
  lua: finishScript,
  on: [keys.meta, keys.state, keys.writers, keys.finished],
  args: ['incarnation', event.student, event.writer, after],
};
const seal: Call = { lua: sealScript, on: [keys.meta, keys.state, keys.events], args: ['incarnation'] };

/** Says some commands without an account, and returns the lines of the answers. */
async function say(commands: string[]): Promise<string[]> {
  const socket = createConnection(server.port, server.host);
  socket.end(commands.map((command) => `${command}\r\n`).join(''));
  let heard = '';
  for await (const chunk of socket.setEncoding('utf8')) heard += chunk;
  return heard.trimEnd().split('\r\n');
}

describe('every account', () => {
  it.each(aclUsers)('lets %s connect, be checked and watched', async (user) => {
    expect(await as[user].ping()).toBe('PONG');
    expect(await as[user].client('SETNAME', user)).toBe('OK');
    expect(await as[user].config('GET', 'appendfsync')).toBeTruthy();
    expect(await as[user].info()).toContain('aof_enabled:1');
    expect(await call(user, touch)).toEqual(['ok', expect.stringMatching(/^\d+$/)]);
  });

  it.each(aclUsers)('lets %s read all that there is, also in one transaction', async (user) => {
    const redis = as[user];
    const answers = await redis
      .multi()
      .hgetall('meta')
      .hmget('session', 'phase', 'full')
      .hget('writers', 'writer_1:ana')
      .hscan('finished', '0')
      .xrange('events', '-', '+', 'COUNT', 1)
      .xrevrange('events', '+', '-', 'COUNT', 1)
      .exec();
    expect(answers?.map(([error]) => error)).toEqual([null, null, null, null, null, null]);
    await redis.hgetall('deadlines');
    await redis.xlen('audit');
    await redis.get('barrier');
  });

  it.each(aclUsers)('forbids %s to delete, trim, flush, configure, replicate, debug or stop', async (user) => {
    const forbidden = [
      ['DEL', 'events'],
      ['UNLINK', 'writers'],
      ['EXPIRE', 'events', '1'],
      ['RENAME', 'events', 'other'],
      ['RESTORE', 'events', '0', 'x', 'REPLACE'],
      ['COPY', 'meta', 'events', 'REPLACE'],
      ['XTRIM', 'events', 'MAXLEN', '0'],
      ['XDEL', 'events', '0-1'],
      ['XSETID', 'events', '99999999999999-0'],
      ['HDEL', 'writers', 'writer_1:ana'],
      ['SET', 'events', 'x'],
      ['SET', 'writers', 'x'],
      ['GETDEL', 'barrier'],
      ['FLUSHALL'],
      ['FLUSHDB'],
      ['SWAPDB', '0', '0'],
      ['CONFIG', 'SET', 'appendfsync', 'no'],
      ['CONFIG', 'REWRITE'],
      ['BGREWRITEAOF'],
      ['BGSAVE'],
      ['SAVE'],
      ['EVAL', 'return 1', '0'],
      ['SCRIPT', 'FLUSH'],
      ['SCRIPT', 'KILL'],
      ['FUNCTION', 'LOAD', '#!lua name=x'],
      ['DEBUG', 'SLEEP', '0'],
      ['SHUTDOWN', 'NOSAVE'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['MODULE', 'LIST'],
      ['ACL', 'SETUSER', user, 'allcommands'],
      ['CLIENT', 'KILL', 'ID', '1'],
      ['CLIENT', 'PAUSE', '1'],
      ['MONITOR'],
      ['SUBSCRIBE', 'x'],
      ['KEYS', '*'],
    ] as const;
    for (const [command, ...args] of forbidden) {
      await expect(as[user].call(command, ...args), `${command} ${args.join(' ')}`).rejects.toThrow(
        /NOPERM|not allowed/,
      );
    }
  });

  it('leaves nothing to whoever has none, or a wrong password', async () => {
    const said = await say(['PING', 'AUTH gateway wrong', 'AUTH default wrong', 'GET meta', 'QUIT']);
    expect(said.map((line) => line.split(' ')[0])).toEqual(['-NOAUTH', '-WRONGPASS', '-WRONGPASS', '-NOAUTH', '+OK']);
  });

  it('has a password hash, which cannot smuggle rules in', () => {
    expect(() => aclFile({ ...hashes, gateway: `${hashes.gateway} +@all` })).toThrow(RangeError);
    expect(() => aclFile({ ...hashes, operator: '' })).toThrow('operator');
  });
});

describe('the gateway', () => {
  it('appends, finishes and audits', async () => {
    expect(await call('gateway', append)).toEqual(['ok', expect.stringMatching(/^\d+-\d+$/)]);
    expect(await call('gateway', finish)).toEqual(['ok', expect.stringMatching(/^\d+$/)]);
    await as.gateway.xadd('audit', 'MAXLEN', '~', '100000', '*', 'kind', 'open');
  });

  it('cannot write what only the operator may', async () => {
    for (const key of ['meta', 'session', 'deadlines']) {
      await expect(as.gateway.hset(key, 'full', '0'), key).rejects.toThrow(/NOPERM/);
      await expect(callWithin('gateway', 'HSET', key, 'full', '0'), key).rejects.toThrow(/can't access/);
    }
    await expect(call('gateway', { ...init, args: ['other', ...init.args.slice(1)] })).resolves.toContain('foreign');
  });

  it('cannot do within a script what it cannot do outside', async () => {
    await expect(callWithin('gateway', 'DEL', 'events')).rejects.toThrow(/can't run/);
    await expect(callWithin('gateway', 'XTRIM', 'events', 'MAXLEN', '0')).rejects.toThrow(/can't run/);
    await expect(callWithin('gateway', 'SET', 'writers', 'x')).rejects.toThrow(/can't access/);
    await expect(callWithin('gateway', 'EXPIRE', 'events', '1')).rejects.toThrow(/can't run/);
    expect(await as.gateway.xlen('events')).toBe(1);
  });
});

describe('the exporter', () => {
  it('reads, and writes nothing but the barrier', async () => {
    await expect(as.exporter.xadd('events', '*', 'b', 'x')).rejects.toThrow(/NOPERM/);
    await expect(as.exporter.hset('state', 'sealed', '1')).rejects.toThrow(/NOPERM/);
    await expect(call('exporter', seal)).rejects.toThrow(/can't run/);
    await expect(callWithin('exporter', 'HSET', 'writers', 'a', 'b')).rejects.toThrow(/can't run/);
    expect(await as.exporter.hget('state', 'sealed')).toBeNull();
  });
});

describe('the operator', () => {
  it('steers and seals the session', async () => {
    await as.operator.multi().hset('session', 'phase', 'Draining').hset('deadlines', 'ana', '1').exec();
    await as.operator.hdel('deadlines', 'ana');
    await as.operator.xadd('audit', '*', 'kind', 'finalize');
    const sealed = (await call('operator', seal)) as string[];
    expect(sealed[0]).toBe('ok');
    expect(sealed[3]).toBe('1');
    expect(sealed[4]).not.toBe(emptyDigest);
    expect(await call('operator', init)).toEqual(['ok', 'same']);
  });

  it('cannot write answers or states of writers', async () => {
    for (const key of ['writers', 'students', 'finished']) {
      await expect(as.operator.hset(key, 'writer_1:ana', 'x'), key).rejects.toThrow(/NOPERM/);
    }
  });
});

describe('a restart', () => {
  it('loads under these accounts what was acknowledged', async () => {
    const before = await contents();
    expect(before).toMatchObject({ events: 2, writers: { 'writer_1:ana': after } });
    await server.kill9();
    await server.restart();
    as.exporter = connect('exporter');
    expect(await contents()).toEqual(before);
    expect(server.log).not.toMatch(/CRITICAL|NOPERM/);
  });

  const contents = async () => ({
    events: await as.exporter.xlen('events'),
    writers: await as.exporter.hgetall('writers'),
    state: await as.exporter.hgetall('state'),
    finished: await as.exporter.hgetall('finished'),
  });
});
