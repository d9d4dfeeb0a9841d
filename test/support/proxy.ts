import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onScopeEnd } from './cleanup.ts';

/** `up`: from client to server; `down`: from server to client. */
export type Direction = 'up' | 'down';

/** A TCP proxy that does to connections what networks do. It is closed, with its connections, at the end of the test. */
export interface TcpProxy {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Connections that are open now, and that ever were. */
  readonly open: number;
  readonly accepted: number;
  /** Bytes that came through, over all connections. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Cuts every open connection with a reset. New ones are accepted. */
  cutAll(): void;
  /** Lets exactly `bytes` more bytes (of all connections together) through in a direction, then cuts everything. */
  cutAfter(direction: Direction, bytes: number): void;
  /**
   * Loses replies: from now on what the server sends is thrown away, while what clients send goes through. Once
   * `bytes` (1) or more were thrown away, everything is cut, and replies pass again. Resolves at the cut.
   */
  swallowReplies(bytes?: number): Promise<void>;
  /** Holds everything back, in both directions, until `resume`. Connections stay open; TCP pushes back on senders. */
  pause(): void;
  resume(): void;
  /** Refuses new connections (accepts and resets them) until `allow`. Open ones stay. */
  refuse(): void;
  allow(): void;
  /** Sends connections made from now on to another port. */
  redirect(port: number): void;
  close(): Promise<void>;
}

/** Starts a proxy on a free port of 127.0.0.1, in front of a server there. */
export async function startProxy(target: { readonly port: number }): Promise<TcpProxy> {
  let { port } = target;
  let refusing = false;
  let accepted = 0;
  const traffic = createTraffic();
  const listener = createServer((client) => {
    if (refusing) return void client.on('error', ignore).resetAndDestroy();
    accepted += 1;
    traffic.add({ client, server: connect(port, '127.0.0.1') });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address() as AddressInfo;
  const close = async () => {
    traffic.cutAll();
    if (!listener.listening) return;
    listener.close();
    await once(listener, 'close');
  };
  onScopeEnd(close);
  return {
    host: '127.0.0.1',
    port: address.port,
    get open() {
      return traffic.pairs.size;
    },
    get accepted() {
      return accepted;
    },
    bytes: traffic.bytes,
    cutAll: traffic.cutAll,
    cutAfter: traffic.cutAfter,
    swallowReplies: traffic.swallowReplies,
    pause: () => traffic.hold(true),
    resume: () => traffic.hold(false),
    refuse: () => {
      refusing = true;
    },
    allow: () => {
      refusing = false;
    },
    redirect: (other) => {
      port = other;
    },
    close,
  };
}

/** The two sockets of one connection through the proxy. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** All connections, and what is to happen to the bytes in them. */
function createTraffic() {
  const pairs = new Set<Pair>();
  const bytes = { up: 0, down: 0 };
  /** Bytes that may pass before everything is cut. */
  const left = { up: Infinity, down: Infinity };
  /** Set while replies are thrown away: how many bytes are to be, and whom to tell. */
  let swallowing: { left: number; done(): void } | null = null;
  let held = false;

  const cutAll = () => {
    left.up = Infinity;
    left.down = Infinity;
    for (const { client, server } of pairs) {
      reset(client);
      reset(server);
    }
    swallowing?.done();
    swallowing = null;
  };
  const pass = (sender: Socket, receiver: Socket, direction: Direction, chunk: Buffer) => {
    if (direction === 'down' && swallowing !== null) {
      swallowing.left -= chunk.length;
      if (swallowing.left <= 0) cutAll();
      return;
    }
    if (receiver.writableEnded) return;
    const through = chunk.subarray(0, left[direction]);
    bytes[direction] += through.length;
    left[direction] -= through.length;
    // The last bytes are to arrive, so they are flushed before the cut.
    if (left[direction] === 0) receiver.end(through, cutAll);
    else if (!receiver.write(through)) {
      sender.pause();
      receiver.once('drain', () => held || sender.resume());
    }
  };
  const add = (pair: Pair) => {
    const { client, server } = pair;
    pairs.add(pair);
    relay(pair, () => pairs.delete(pair));
    client.on('data', (chunk: Buffer) => pass(client, server, 'up', chunk));
    server.on('data', (chunk: Buffer) => pass(server, client, 'down', chunk));
    if (held) stopReading(pair);
  };
  const hold = (wanted: boolean) => {
    held = wanted;
    for (const pair of pairs) (held ? stopReading : startReading)(pair);
  };
  const cutAfter = (direction: Direction, count: number) => {
    left[direction] = count;
  };
  const swallowReplies = (count = 1) =>
    new Promise<void>((done) => {
      swallowing = { left: count, done };
    });
  return { pairs, bytes, add, cutAll, cutAfter, swallowReplies, hold };
}

/** libuv cannot reset a socket that is just being shut down, and Node then leaves its handle open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** What ends or breaks on one side, ends or breaks on the other. */
function relay({ client, server }: Pair, onClosed: () => void): void {
  for (const [socket, other] of [
    [client, server],
    [server, client],
  ] as const) {
    socket.setNoDelay(true);
    socket.on('error', () => reset(other));
    socket.on('end', () => other.end());
    socket.on('close', () => {
      other.destroySoon();
      if (other.closed) onClosed();
    });
  }
}

function stopReading({ client, server }: Pair): void {
  client.pause();
  server.pause();
}

function startReading({ client, server }: Pair): void {
  client.resume();
  server.resume();
}

/** A reset connection may report an error although we are the ones who reset it. */
function ignore(): void {}
