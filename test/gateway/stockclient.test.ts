import {
  HttpTransportType,
  type HubConnection,
  HubConnectionBuilder,
  HubConnectionState,
  LogLevel,
} from '@microsoft/signalr';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkReceipt } from '#queue/receipt.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { freePort } from '#test/support/freeport.ts';
import { until } from '#test/support/until.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';

// The stock client of @microsoft/signalr, as a front-end would use it: nothing of ours is between it and the gateway.

let session: TestSession;
let gateway: TestGateway;

beforeAll(async () => {
  session = await startSession({ shards: 2 });
  gateway = await session.start();
}, 60_000);

interface Options {
  readonly skipNegotiation?: boolean;
  readonly reconnect?: number[];
  readonly url?: string;
  readonly token?: () => Promise<string>;
}

function build(
  student: string,
  { skipNegotiation = false, reconnect, url = gateway.url, token }: Options = {},
): HubConnection {
  const transport = skipNegotiation ? { skipNegotiation, transport: HttpTransportType.WebSockets } : {};
  const builder = new HubConnectionBuilder()
    .withUrl(url, { accessTokenFactory: token ?? (() => session.token(student)), ...transport })
    .configureLogging(LogLevel.None);
  if (reconnect) builder.withAutomaticReconnect(reconnect);
  const connection = builder.build();
  onScopeEnd(() => connection.stop());
  return connection;
}

const logOf = async (student: string) => (await session.logged()).filter((event) => event.student === student);

describe.each([
  ['negotiates', false],
  ['skips negotiation', true],
])('the stock client that %s', (_, skipNegotiation) => {
  it('opens, submits by invoke and by send, and finishes', async () => {
    const student = `stock-${skipNegotiation}`;
    const connection = build(student, { skipNegotiation });
    const durable: number[] = [];
    connection.on('Durable', (seq: number) => durable.push(seq));
    await connection.start();

    const opened = await connection.invoke('Open', 'stock-writer');
    expect(opened).toMatchObject({ durableSeq: 0, phase: 'Active' });
    expect(await connection.invoke('Submit', 1, { question: 1, answer: 'é "quoted" \\ ] }' })).toBeNull();
    await Promise.all([2, 3].map((seq) => connection.invoke('Submit', seq, { question: seq })));
    for (const seq of [4, 5, 6]) await connection.send('Submit', seq, seq);
    await until(() => durable.at(-1) === 6, { what: 'Durable' });
    await expect(connection.invoke('Submit', 9, 9)).rejects.toThrow('gap:7');

    const finished = await connection.invoke('Finish', 6);
    expect(finished).toMatchObject({ lastSeq: 6, time: expect.any(Number) });
    expect(checkReceipt(session.receiptPublicKey, finished.receipt)).toBe(true);
    await expect(connection.invoke('Submit', 7, 7)).rejects.toThrow('finished');
    expect((await logOf(student)).map(({ payload }) => payload)).toEqual([
      '{"question":1,"answer":"é \\"quoted\\" \\\\ ] }"}',
      '{"question":2}',
      '{"question":3}',
      '4',
      '5',
      '6',
    ]);
  });

  it('is told why it is not let in', async () => {
    const connection = build('ana', { skipNegotiation, token: async () => 'forged' });
    await expect(connection.start()).rejects.toThrow();
  });
});

describe('the stock client', () => {
  it('is told why it is closed for good', async () => {
    const connection = build('breaks', { reconnect: [0] });
    const closed = Promise.withResolvers<Error | undefined>();
    connection.onclose((error) => closed.resolve(error));
    await connection.start();
    await connection.send('Submit', 1, 1);
    expect((await closed.promise)?.message).toContain('open_first');
    expect(connection.state).toBe(HubConnectionState.Disconnected);
  });

  it('comes back with a new token when the old one ends', async () => {
    const expiries = [Math.floor(Date.now() / 1_000) + 1];
    const connection = build('renews', {
      reconnect: [0, 100],
      skipNegotiation: true,
      token: () => session.token('renews', expiries.length > 0 ? { exp: expiries.shift() } : {}),
    });
    const reconnected = Promise.withResolvers<void>();
    connection.onreconnected(() => reconnected.resolve());
    await connection.start();
    await connection.invoke('Open', 'stock-writer');
    await connection.invoke('Submit', 1, 1);
    await reconnected.promise;
    expect(await connection.invoke('Open', 'stock-writer')).toMatchObject({ durableSeq: 1 });
  });

  it('reconnects by itself over a gateway that is killed, and goes on where it was', { timeout: 30_000 }, async () => {
    const listen = { host: '127.0.0.1', port: await freePort() };
    let current = await session.start({ listen });
    const connection = build('survives', { url: current.url, reconnect: Array(100).fill(50) });
    let standing: { durableSeq: number } | null = null;
    const open = async () => {
      standing = await connection.invoke<{ durableSeq: number }>('Open', 'stock-writer');
    };
    connection.onreconnecting(() => {
      standing = null;
    });
    connection.onreconnected(() => void open().catch(() => undefined));
    await connection.start();
    await open();

    const events = 200;
    const acknowledged: number[] = [];
    const killing = (async () => {
      for (const after of [50, 120]) {
        await until(() => acknowledged.length >= after, { what: `${after} events`, timeoutMs: 15_000, everyMs: 1 });
        current.program.kill();
        await current.program.ended();
        current = await session.start({ listen });
      }
    })();
    // What a front-end does: one event after the other, again after a reconnect, where Open says that it is missing.
    while (acknowledged.length < events) {
      const seq = acknowledged.length + 1;
      const known = await until(() => standing, { what: 'Open', timeoutMs: 10_000 });
      try {
        if (known.durableSeq < seq) await connection.invoke('Submit', seq, { seq });
        acknowledged.push(seq);
      } catch {
        await until(() => connection.state !== HubConnectionState.Connected || standing !== null, {
          what: 'the end',
        });
      }
    }
    await killing;
    await until(() => standing, { what: 'Open', timeoutMs: 10_000 });
    expect((await connection.invoke('Finish', events)).lastSeq).toBe(events);
    expect((await logOf('survives')).map(({ seq }) => seq)).toEqual(acknowledged);
  });
});
