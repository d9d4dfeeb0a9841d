import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';

type Rec = Record<string, unknown>;

export interface Completion {
  readonly result?: unknown;
  readonly error?: string;
}

/** A client that says exactly what a test wants to have said, right or wrong. */
export interface WireClient {
  readonly ws: WebSocket;
  /** Every record that came, but pings. */
  readonly records: readonly Rec[];
  /** Set when the connection ended. */
  readonly closed: { readonly code: number; readonly reason: string } | undefined;
  /** Sends one record, or several, as they are, with separators. */
  say(...texts: string[]): void;
  /** Calls a method without an id. */
  send(target: string, ...args: unknown[]): void;
  /** Calls a method; resolves with its completion, whatever it is. Rejects when the connection ends before. */
  invoke(target: string, ...args: unknown[]): Promise<Completion>;
  /** Waits for a call of the server, and gives its arguments. */
  called(target: string, test?: (args: unknown[]) => boolean): Promise<unknown[]>;
  /** The arguments of all calls of a method so far. */
  calls(target: string): unknown[][];
  /** Waits for the end. */
  ended(): Promise<{ code: number; reason: string }>;
}

export const separator = '\u001e';
export const handshake = `{"protocol":"json","version":1}${separator}`;

/** Opens a WebSocket as Node's SignalR client does, token in a header. Rejects with the HTTP status when refused. */
export async function openSocket(url: string, token: string | null, options: ClientOptions = {}): Promise<WebSocket> {
  const headers = { ...(token === null ? {} : { Authorization: `Bearer ${token}` }), ...options.headers };
  const ws = new WebSocket(url.replace(/^http/, 'ws'), { ...options, headers });
  onScopeEnd(() => ws.terminate());
  ws.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    ws.once('open', resolve);
    ws.once('error', reject);
    ws.once('unexpected-response', (_, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        reject(
          Object.assign(new Error(`${response.statusCode} ${body}`), {
            status: response.statusCode,
            headers: response.headers,
          }),
        );
      });
    });
  });
  return ws;
}

/** Opens a socket and shakes hands. */
export async function connect(url: string, token: string | null, options: ClientOptions = {}): Promise<WireClient> {
  const client = wire(await openSocket(url, token, options));
  client.ws.send(handshake);
  await until(() => client.records.length > 0 || client.closed, { what: 'the handshake' });
  return client;
}

/** Follows what comes over a socket. */
export function wire(ws: WebSocket): WireClient {
  const records: Rec[] = [];
  let closed: { code: number; reason: string } | undefined;
  let lastId = 1_000_000;
  ws.on('message', (data: Buffer) => {
    for (const text of data.toString().split(separator)) {
      if (text === '') continue;
      const record = JSON.parse(text) as Rec;
      if (record.type !== 6) records.push(record);
    }
  });
  ws.on('close', (code, reason) => {
    closed = { code, reason: reason.toString() };
  });
  const calls = (target: string) =>
    records.filter((one) => one.type === 1 && one.target === target).map((one) => one.arguments as unknown[]);

  return {
    ws,
    records,
    get closed() {
      return closed;
    },
    say: (...texts) => ws.send(texts.map((text) => text + separator).join('')),
    send: (target, ...args) => ws.send(JSON.stringify({ type: 1, target, arguments: args }) + separator),
    async invoke(target, ...args) {
      const invocationId = String(lastId++);
      ws.send(JSON.stringify({ target, arguments: args, invocationId, type: 1 }) + separator);
      const find = () => records.find((one) => one.type === 3 && one.invocationId === invocationId);
      const found = await until(() => find() ?? closed, {
        what: `the answer to ${target}`,
        timeoutMs: 10_000,
        everyMs: 5,
      });
      if ('code' in found) throw new Error(`closed: ${found.code} ${found.reason}`);
      const { result, error } = found as Completion;
      return error === undefined ? { result } : { error };
    },
    called: (target, test = () => true) =>
      until(() => calls(target).find(test), { what: `a call of ${target}`, timeoutMs: 10_000, everyMs: 5 }),
    calls,
    async ended() {
      if (!closed)
        await Promise.race([
          once(ws, 'close'),
          until(() => closed, { what: 'the end of a connection', timeoutMs: 10_000 }),
        ]);
      return closed!;
    },
  };
}
