import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startProgram } from '#test/support/process.ts';
import { startRedis } from '#test/support/redis.ts';

/** A client that neither reconnects nor waits: what it is told is what the server does now. */
async function openRedis(port: number): Promise<Redis> {
  const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null });
  redis.on('error', () => {});
  await redis.connect();
  return redis;
}

test('a Redis of the tests keeps what it acknowledged over kill -9, on the same port and folder', async () => {
  const server = await startRedis();
  const redis = await openRedis(server.port);
  expect(await redis.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always']);
  await redis.set('answer', '42');
  const { pid, port } = server;
  await server.kill9();
  expect(server.running).toBe(false);
  await server.restart();
  expect(server.pid).not.toBe(pid);
  const again = await openRedis(port);
  expect(await again.get('answer')).toBe('42');
  redis.disconnect();
  again.disconnect();
});

test('a paused Redis can be stopped, and its settings can be overridden', async () => {
  const server = await startRedis({ extraArgs: ['--appendfsync', 'everysec'], maxmemoryBytes: 50_000_000 });
  const redis = await openRedis(server.port);
  expect(await redis.config('GET', 'appendfsync')).toEqual(['appendfsync', 'everysec']);
  expect(await redis.config('GET', 'maxmemory')).toEqual(['maxmemory', '50000000']);
  server.pause();
  await server.stop();
  expect(server.running).toBe(false);
  redis.disconnect();
});

test('a Redis that cannot start says why', async () => {
  await expect(startRedis({ extraArgs: ['--no-such-setting', '1'] })).rejects.toThrow(/no-such-setting/);
});

test('a program that is not there fails with the reason', async () => {
  await expect(startProgram({ argv: ['/nowhere/program'] }).ended()).rejects.toThrow('ENOENT');
});

test('a program of the tests hands over its JSON lines and its end', async () => {
  const code = 'console.log("plain"); console.log(JSON.stringify({ kind: "up" })); setTimeout(() => {}, 60000)';
  const program = startProgram({ argv: [process.execPath, '-e', code] });
  expect(await program.line((line) => line.kind === 'up', 'the line')).toEqual({ kind: 'up' });
  program.kill('SIGTERM');
  expect(await program.ended()).toEqual({ code: null, signal: 'SIGTERM' });
  await expect(program.line((line) => line.kind === 'never', 'a line')).rejects.toThrow('before a line');
});
