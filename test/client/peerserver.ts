import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { onScopeEnd } from '#test/support/cleanup.ts';
import type { Peer } from './peer.ts';

export interface PeerServer {
  readonly url: string;
  /** The requests that asked for a WebSocket. */
  readonly upgrades: IncomingMessage[];
  /** Answered instead of an upgrade, when set: a whole HTTP response. */
  refusal: string | null;
}

/** A peer behind a real socket. The student is `ada`, whatever the token. */
export async function servePeer(peer: Peer): Promise<PeerServer> {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const server: PeerServer = { url: '', upgrades: [], refusal: null };
  http.on('upgrade', (request, socket, head) => {
    server.upgrades.push(request);
    if (server.refusal !== null) {
      socket.end(server.refusal);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      const connection = peer.accept('ada', {
        send: (text) => ws.send(text),
        close: (code) => (code === 1006 ? ws.terminate() : ws.close(code)),
      });
      ws.on('message', (data) => connection.receive(data.toString()));
      ws.on('close', () => connection.gone());
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onScopeEnd(async () => {
    for (const ws of sockets.clients) ws.terminate();
    http.closeAllConnections();
    http.close();
    await once(http, 'close');
  });
  return Object.assign(server, { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/exam` });
}
