import { describe, expect, test } from 'vitest';
import { nodeConnect } from '#client/nodesocket.ts';
import type { Connect, SocketEnd } from '#client/socket.ts';
import { webConnect } from '#client/websocket.ts';
import { freePort } from '#test/support/freeport.ts';
import { until } from '#test/support/until.ts';
import { createPeer } from './peer.ts';
import { servePeer } from './peerserver.ts';
import { student } from './student.ts';

/** Connects and keeps what the port tells. */
function dial(connect: Connect, url: string) {
  const seen = { opened: 0, texts: [] as string[], ends: [] as SocketEnd[] };
  const socket = connect(url.replace(/^http/, 'ws'), 'the-token', {
    opened: () => seen.opened++,
    text: (data) => seen.texts.push(data),
    closed: (end) => seen.ends.push(end),
  });
  const ended = () => until(() => seen.ends[0], { what: 'the end' });
  return { socket, ended, seen };
}

describe.each([
  ['the platform’s WebSocket', webConnect],
  ['ws', nodeConnect()],
])('connecting by %s', (name, connect) => {
  test('a whole exam, over a crash and a restart of the server', async () => {
    const peer = createPeer();
    const { url } = await servePeer(peer);
    const ada = student({ url, token: 'the-token', connect });
    await ada.client.open();
    for (let n = 1; n <= 50; n++) {
      await ada.client.submit({ n, text: 'ü🦤' });
      if (n === 20) peer.cut(1006);
      if (n === 35) peer.cut(1012);
    }
    expect(await ada.client.finish()).toMatchObject({ lastSeq: 50 });
    const texts = Array.from({ length: 50 }, (_, i) => JSON.stringify({ n: i + 1, text: 'ü🦤' }));
    expect(peer.durable.get(ada.client.state.writer!)).toEqual(texts);
    await ada.client.close();
    await until(() => peer.connections.size === 0, { what: 'the server to see the end' });
  });

  test('the token travels where it is not logged: a header where that is possible, else access_token', async () => {
    const server = await servePeer(createPeer());
    const { socket, seen, ended } = dial(connect, server.url);
    await until(() => seen.opened === 1, { what: 'the connection' });
    const [request] = server.upgrades;
    if (name === 'ws') expect(request).toMatchObject({ url: '/exam', headers: { authorization: 'Bearer the-token' } });
    else expect(request!.url).toBe('/exam?access_token=the-token');
    socket.close();
    await ended();
  });

  test('a close by the server has its code and reason; nothing is told after it', async () => {
    const peer = createPeer();
    const server = await servePeer(peer);
    const { seen, ended } = dial(connect, server.url);
    await until(() => peer.connections.size === 1, { what: 'the connection' });
    peer.tell('Announcement', 'bye');
    peer.cut(1012);
    expect(await ended()).toMatchObject({ code: 1012 });
    expect(seen.texts).toHaveLength(1);
    expect(seen).toMatchObject({ opened: 1, ends: [{ code: 1012 }] });
  });

  test('dropped while connecting, or once open, it ends once', async () => {
    const server = await servePeer(createPeer());
    const early = dial(connect, server.url);
    early.socket.drop();
    early.socket.drop();
    await early.ended();
    const late = dial(connect, server.url);
    await until(() => late.seen.opened === 1, { what: 'the connection' });
    late.socket.drop();
    await late.ended();
    late.socket.send('too late');
    expect([early.seen.opened, early.seen.ends.length, late.seen.ends.length]).toEqual([0, 1, 1]);
    expect(late.seen.ends[0]!.code).toBe(1006);
  });

  test('where nobody listens, it ends once with 1006', async () => {
    const { seen, ended } = dial(connect, `http://127.0.0.1:${await freePort()}/exam`);
    expect((await ended()).code).toBe(1006);
    expect(seen).toMatchObject({ opened: 0, ends: [{ code: 1006 }] });
  });

  test('a refused upgrade ends it; `ws` also tells the status, the reason and how long to wait', async () => {
    const server = await servePeer(createPeer());
    const body = JSON.stringify({ error: 'token_expired', message: 'Sign in again.' });
    server.refusal = `HTTP/1.1 401 Denied\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
    const refused = await dial(connect, server.url).ended();
    server.refusal = 'HTTP/1.1 503 Denied\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
    const busy = await dial(connect, server.url).ended();
    expect([refused.code, busy.code]).toEqual([1006, 1006]);
    if (name !== 'ws') return;
    expect(refused).toMatchObject({ status: 401, reason: 'token_expired' });
    expect(busy).toMatchObject({ status: 503, retryAfterMs: 7_000 });
  });
});

test('with a token that is refused again and again, the client says in the server’s words why it gives up', async () => {
  const server = await servePeer(createPeer());
  const body = JSON.stringify({ error: 'token_expired', message: 'Sign in again.' });
  server.refusal = `HTTP/1.1 401 Denied\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  const ada = student({ url: server.url, token: 'old', connect: nodeConnect() });
  await expect(ada.client.open()).rejects.toThrow('the server refused the token 5 times: HTTP 401 token_expired');
});
