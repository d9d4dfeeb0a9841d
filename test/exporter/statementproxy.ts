import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onScopeEnd } from '#test/support/cleanup.ts';

/**
 * A proxy in front of PostgreSQL that knows where statements begin, and cuts the connection at one of them:
 * - before: the server never sees it
 * - after: the server has run it, and its reply is lost
 */
export interface StatementProxy {
  readonly port: number;
  /** What clients sent since the last `cutAt`: the first words of each statement. */
  readonly statements: readonly string[];
  /** Cuts at the statement with this number, counted from 0 from now on, over all connections. Null: never. */
  cutAt(number: number | null, when?: 'before' | 'after'): void;
}

/** Frontend messages that make the server do something: Query, Parse, the first CopyData, CopyDone. */
const kinds: Readonly<Record<string, string>> = { Q: 'query', P: 'parse', d: 'copy data', c: 'copy done' };

export async function startStatementProxy(server: { readonly port: number }): Promise<StatementProxy> {
  let statements: string[] = [];
  let cut: { readonly number: number; readonly when: 'before' | 'after' } | null = null;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(server.port, '127.0.0.1');
    let swallow = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true).on('error', end).on('close', end);
      socket.on('close', () => sockets.delete(socket));
    }
    const frames = frontendFrames((bytes, statement) => {
      if (swallow) return;
      if (statement !== null) statements.push(statement);
      const hit = statement !== null && cut !== null && statements.length - 1 === cut.number;
      if (hit && cut!.when === 'before') return end();
      // The rest of the statement (Bind, Execute, Sync) must still reach the server.
      if (hit) lose = true;
      upstream.write(bytes);
    });
    let lose = false;
    client.on('data', frames);
    upstream.on('data', (chunk: Buffer) => {
      if (!lose) return void client.write(chunk);
      // ReadyForQuery, or CopyInResponse, ends what the server says: it has done it.
      swallow = true;
      if (chunk.includes('Z') || chunk.includes('G')) end();
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  onScopeEnd(async () => {
    for (const socket of sockets) socket.destroy();
    listener.close();
    await once(listener, 'close');
  });
  return {
    port: (listener.address() as AddressInfo).port,
    get statements() {
      return statements;
    },
    cutAt(number, when = 'before') {
      statements = [];
      cut = number === null ? null : { number, when };
    },
  };
}

/** Cuts what a client sends into messages: the first has no type. CopyData counts once a copy. */
function frontendFrames(take: (bytes: Buffer, statement: string | null) => void) {
  let rest = Buffer.alloc(0);
  let started = false;
  let copying = false;
  return (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const head = started ? 1 : 0;
      if (rest.length < head + 4) return;
      const size = head + rest.readUInt32BE(head);
      if (rest.length < size) return;
      const bytes = rest.subarray(0, size);
      rest = rest.subarray(size);
      const type = started ? String.fromCharCode(bytes[0]!) : '';
      started = true;
      const repeated = type === 'd' && copying;
      copying = type === 'd';
      const kind = repeated ? undefined : kinds[type];
      const words = bytes.toString('latin1', 5, 60).replaceAll('\0', '').replace(/\s+/g, ' ');
      take(bytes, kind === undefined ? null : type === 'd' || type === 'c' ? kind : words);
    }
  };
}
