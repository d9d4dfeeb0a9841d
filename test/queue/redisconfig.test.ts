import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { allAddresses, redisConfigLines, redisShardLines } from '#queue/redisconfig.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { freePort } from '#test/support/freeport.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { startRedis, type TestRedis } from '#test/support/redis.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

const plain = { dir: '/data', port: 7000, bind: '127.0.0.1', maxmemoryBytes: 1_000_000_000 };

/** The settings of some lines, without their comments. */
function settingsOf(lines: readonly string[]): Map<string, string> {
  const settings = lines.filter((line) => !line.startsWith('#'));
  return new Map(settings.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

describe("the lines of a shard's redis.conf", () => {
  it('hold the settings on which the promise rests', () => {
    const settings = settingsOf(redisConfigLines(plain));
    expect(settings.get('appendonly')).toBe('yes');
    expect(settings.get('appendfsync')).toBe('always');
    expect(settings.get('no-appendfsync-on-rewrite')).toBe('no');
    expect(settings.get('save')).toBe('""');
    expect(settings.get('auto-aof-rewrite-percentage')).toBe('0');
    expect(settings.get('maxmemory-policy')).toBe('noeviction');
    expect(settings.get('maxmemory')).toBe('1000000000');
  });

  it('say each setting once, with its reason above it', () => {
    const lines = redisConfigLines({ ...plain, aclFile: '/a', logFile: '/l' });
    expect(lines.length % 2).toBe(0);
    for (let i = 0; i < lines.length; i += 2) {
      expect(lines[i]).toMatch(/^# \S.{10,}\.$/);
      expect(lines[i + 1]).toMatch(/^[a-z-]+ \S/);
    }
    expect(settingsOf(lines).size).toBe(lines.length / 2);
  });

  it('listen with TLS only, where TLS is asked for', () => {
    const tls = { certFile: '/t/c.pem', keyFile: '/t/k.pem', caFile: '/t/ca.pem' };
    const settings = settingsOf(redisConfigLines({ ...plain, tls }));
    expect(settings.get('port')).toBe('0');
    expect(settings.get('tls-port')).toBe('7000');
    expect(settings.get('tls-cert-file')).toBe('"/t/c.pem"');
    expect(settings.get('tls-auth-clients')).toBe('no');
    const mutual = settingsOf(redisConfigLines({ ...plain, tls: { ...tls, clientCertificates: true } }));
    expect(mutual.get('tls-auth-clients')).toBe('yes');
  });

  it('cannot be made from a path that would become further lines, or from no memory', () => {
    expect(() => redisConfigLines({ ...plain, dir: '/data\nappendfsync no' })).toThrow(RangeError);
    expect(() => redisConfigLines({ ...plain, bind: ['127.0.0.1\r'] })).toThrow(RangeError);
    for (const appendDirName of ['', '.', '../other', '/data/other', 'a b', 'a"b', `${'a'.repeat(101)}`]) {
      expect(() => redisConfigLines({ ...plain, appendDirName })).toThrow(RangeError);
      expect(() => redisShardLines('/etc/redis.conf', appendDirName)).toThrow(RangeError);
    }
    expect(() => redisShardLines('/etc/redis.conf\nsave 1 1', 'aof-1')).toThrow(RangeError);
    for (const maxmemoryBytes of [0, -1, 1.5, Number.NaN]) {
      expect(() => redisConfigLines({ ...plain, maxmemoryBytes })).toThrow(RangeError);
    }
  });
});

describe('a real server with them', () => {
  let server: TestRedis;
  let redis: Redis;

  beforeAll(async () => {
    const dir = join(tmpFolder('config'), 'with "quotes", spaces and \\');
    mkdirSync(dir);
    server = await startRedis({ dir });
    redis = new Redis({ host: server.host, port: server.port, retryStrategy: null });
    onScopeEnd(() => redis.disconnect());
  });

  it('starts, and has every one of them in force', async () => {
    for (const [name, written] of settingsOf(server.configLines)) {
      const [, value] = (await redis.call('CONFIG', 'GET', name)) as string[];
      const text = written.startsWith('"') ? (JSON.parse(written) as string) : written;
      if (name === 'client-output-buffer-limit') expect(value).toContain(text);
      else expect(value, name).toBe(text);
    }
  });

  it('takes a batch of the greatest size, and nothing much larger', async () => {
    await redis.xadd('events', '*', 'b', Buffer.alloc(1_048_576));
    const other = redis.duplicate();
    other.on('error', () => {}); // The server hangs up: what the socket says about it depends on the moment.
    await expect(other.xadd('events', '*', 'b', Buffer.alloc(5_000_000))).rejects.toThrow();
    expect(await redis.xlen('events')).toBe(1);
    other.disconnect();
  });
});

describe('a server that takes what all shards have in common from another file', () => {
  const folder = tmpFolder('shard');
  const common = join(folder, 'common.conf');
  let port: number;
  let server: Program;

  async function start(appendDirName: string): Promise<Redis> {
    const file = join(folder, 'redis.conf');
    writeFileSync(file, `${redisShardLines(common, appendDirName).join('\n')}\n`);
    server = startProgram({ argv: [(await findRedisBinary()).path, file] });
    await until(() => server.stdout.includes('Ready to accept connections'), { what: 'Redis', timeoutMs: 20_000 });
    const redis = new Redis({ host: '127.0.0.1', port, retryStrategy: null });
    onScopeEnd(() => redis.disconnect());
    return redis;
  }

  async function stop(): Promise<void> {
    server.kill();
    await server.ended();
  }

  it('starts empty under another append-only folder, and has its data again under the first', async () => {
    port = await freePort();
    // The accounts' place is taken by "everybody", on whatever address: protected mode lets this machine in.
    const lines = redisConfigLines({ dir: folder, port, bind: allAddresses, maxmemoryBytes: 100_000_000 });
    writeFileSync(common, `${lines.join('\n')}\n`);

    const first = await start('aof-first');
    await first.set('answer', '42');
    expect(await first.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always']);
    await stop();

    const second = await start('aof-second');
    expect(await second.dbsize()).toBe(0);
    await second.set('answer', '43');
    await stop();

    expect(await (await start('aof-first')).get('answer')).toBe('42');
    await stop();
  });
});
