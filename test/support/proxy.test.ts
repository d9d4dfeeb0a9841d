import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';

/** A server that sends everything back, and what it received. */
async function startEcho() {
  const sockets = new Set<Socket>();
  let received = '';
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString();
      socket.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onScopeEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get received() {
      return received;
    },
  };
}

async function openClient(port: number) {
  const socket = connect(port, '127.0.0.1');
  const client = { socket, received: '', closed: false };
  socket.on('error', () => {});
  socket.on('data', (bytes: Buffer) => {
    client.received += bytes.toString();
  });
  socket.on('close', () => {
    client.closed = true;
  });
  onScopeEnd(() => void socket.destroy());
  await until(() => !socket.connecting || client.closed, { what: 'an answer to the connection attempt' });
  return client;
}

async function setUp() {
  const echo = await startEcho();
  const proxy = await startProxy(echo);
  return { echo, proxy, client: await openClient(proxy.port) };
}

describe('the TCP proxy', () => {
  test('passes bytes both ways and counts them', async () => {
    const { proxy, client } = await setUp();
    client.socket.write('hello');
    await until(() => client.received === 'hello', { what: 'the echo' });
    expect(proxy.bytes).toEqual({ up: 5, down: 5 });
    client.socket.end();
    await until(() => client.closed && proxy.open === 0, { what: 'the end on both sides' });
  });

  test('passes megabytes to a reader slower than the sender', async () => {
    const { client } = await setUp();
    const sent = 'x'.repeat(8_388_608);
    client.socket.pause();
    client.socket.write(sent);
    client.socket.resume();
    await until(() => client.received.length === sent.length, { what: 'all bytes' });
  });

  test('cuts all connections and accepts new ones', async () => {
    const { proxy, client } = await setUp();
    const second = await openClient(proxy.port);
    await until(() => proxy.open === 2, { what: 'two connections' });
    proxy.cutAll();
    await until(() => client.closed && second.closed && proxy.open === 0, { what: 'both cut' });
    const third = await openClient(proxy.port);
    third.socket.write('again');
    await until(() => third.received === 'again', { what: 'the echo' });
    expect(proxy.accepted).toBe(3);
  });

  test.each(['up', 'down'] as const)('cuts after exactly the bytes that were asked for, %s', async (direction) => {
    const { echo, proxy, client } = await setUp();
    proxy.cutAfter(direction, 7);
    client.socket.write('0123456789');
    await until(() => client.closed, { what: 'the cut' });
    await until(() => proxy.bytes[direction] === 7, { what: 'seven bytes' });
    if (direction === 'up') await until(() => echo.received === '0123456', { what: 'the seven bytes' });
    else expect(client.received).toBe('0123456');
  });

  test('loses a reply whose request arrived, then cuts, then lets replies through again', async () => {
    const { echo, proxy, client } = await setUp();
    const cut = proxy.swallowReplies();
    client.socket.write('question');
    await cut;
    await until(() => client.closed, { what: 'the cut' });
    expect(echo.received).toBe('question');
    expect(client.received).toBe('');
    const next = await openClient(proxy.port);
    next.socket.write('x');
    await until(() => next.received === 'x', { what: 'the echo' });
  });

  test('holds back and goes on without losing a byte', async () => {
    const { echo, proxy, client } = await setUp();
    await until(() => proxy.open === 1, { what: 'the connection' });
    proxy.pause();
    client.socket.write('held');
    const other = await openClient(proxy.port);
    other.socket.write('back');
    await until(() => proxy.open === 2, { what: 'the other connection' });
    expect(echo.received).toBe('');
    proxy.resume();
    await until(() => client.received === 'held' && other.received === 'back', { what: 'what was held back' });
  });

  test('refuses connections while it is asked to, and leaves open ones alone', async () => {
    const { proxy, client } = await setUp();
    await until(() => proxy.open === 1, { what: 'the connection' });
    proxy.refuse();
    const refused = await openClient(proxy.port);
    await until(() => refused.closed, { what: 'the refusal' });
    client.socket.write('still here');
    await until(() => client.received === 'still here', { what: 'the echo' });
    proxy.allow();
    const next = await openClient(proxy.port);
    next.socket.write('x');
    await until(() => next.received === 'x', { what: 'the echo' });
  });

  test('leads to another server when told to', async () => {
    const { proxy, client, echo } = await setUp();
    const other = await startEcho();
    proxy.redirect(other.port);
    const moved = await openClient(proxy.port);
    moved.socket.write('there');
    await until(() => moved.received === 'there', { what: 'the echo' });
    client.socket.write('here');
    await until(() => client.received === 'here', { what: 'the echo' });
    expect([echo.received, other.received]).toEqual(['here', 'there']);
  });
});
