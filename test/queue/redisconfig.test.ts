import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import { redisConfigLines } from '#queue/redisconfig.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startRedis, type TestRedis } from '#test/support/redis.ts';
import { tmpFolder } from '#test/support/tmp.ts';

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
