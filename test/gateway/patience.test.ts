import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { expect, it } from 'vitest';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';
import { startSession } from './testgateway.ts';
import { openSocket, wire } from './wireclient.ts';

it('closes whoever opens a socket and then only waits: without a request, within one, before the handshake', async () => {
  const session = await startSession();
  const { port, url } = await session.start();
  const raw = async (bytes: string) => {
    const socket = connectTcp(port, '127.0.0.1').resume();
    onScopeEnd(() => void socket.destroy());
    socket.write(bytes);
    await once(socket, 'close');
  };
  const silent = wire(await openSocket(url, await session.token('shy')));
  const half = wire(await openSocket(url, await session.token('hesitant')));
  half.ws.send('{"protocol":"js', { fin: false });
  await Promise.all([
    raw(''),
    raw('GET /exam HTTP/1.1\r\n'),
    until(() => silent.closed?.code === 1008, { what: 'the end of a silent connection', timeoutMs: 15_000 }),
    until(() => half.closed?.code === 1008, { what: 'the end of a hesitant connection', timeoutMs: 15_000 }),
  ]);
  expect(silent.closed).toEqual({ code: 1008, reason: 'no handshake in time' });
}, 25_000);
