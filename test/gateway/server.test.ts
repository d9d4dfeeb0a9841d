import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import { UnsecuredJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, openSocket, wire } from './wireclient.ts';

let session: TestSession;
let gateway: TestGateway;

beforeAll(async () => {
  session = await startSession();
  gateway = await session.start({ logLevel: 'trace' });
}, 60_000);

/** Opens a WebSocket that is meant to be refused, and gives the status and what came with it. */
async function refusal(url: string, token: string | null, headers: Record<string, string> = {}) {
  try {
    await openSocket(url, token, { headers });
  } catch (error) {
    const { status, headers: answered, message } = error as Error & { status: number; headers: Record<string, string> };
    return { status, code: /"error":"([^"]+)"/.exec(message)?.[1], retryAfter: answered?.['retry-after'] };
  }
  return { status: 101 };
}

const post = async (path: string, student: string, init: RequestInit = {}) =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    ...init,
    headers: { Authorization: `Bearer ${await session.token(student)}`, ...(init.headers as Record<string, string>) },
  });

describe('a WebSocket', () => {
  it('is refused before the upgrade without a good token', async () => {
    const expired = await session.token('ana', { exp: 1_700_000_000 });
    expect(await refusal(gateway.url, null)).toMatchObject({ status: 401, code: 'token_missing' });
    expect(await refusal(gateway.url, 'forged')).toMatchObject({ status: 401, code: 'token_invalid' });
    expect(await refusal(gateway.url, expired)).toMatchObject({ status: 401, code: 'token_expired' });
    expect(await refusal(gateway.url, await session.token('ana', { aud: 'physics' }))).toMatchObject({ status: 401 });
    expect(await refusal(gateway.url, await session.token('ana', { exp: undefined }))).toMatchObject({ status: 401 });
    const none = new UnsecuredJWT({ sub: 'ana' }).setAudience('algebra').setExpirationTime('1h').encode();
    expect(await refusal(gateway.url, none)).toMatchObject({ status: 401, code: 'token_invalid' });
    const rehearsing = await session.token('ana', { rehearsal: true });
    expect(await refusal(gateway.url, rehearsing)).toMatchObject({ status: 403, code: 'no_rehearsal' });
  });

  it('takes the token from the URL too, and no log shows it', async () => {
    const token = await session.token('in-the-url');
    const client = await connect(`${gateway.url}?access_token=${token}`, null);
    await client.invoke('Open', 'writer-01');
    await client.invoke('Submit', 1, 'a secret answer');
    await refusal(`${gateway.url}?access_token=${token}x`, null);
    client.ws.terminate();
    const { stdout, stderr } = gateway.program;
    expect(stdout).toContain('"msg":"listening"');
    for (const secret of [token.slice(-20), 'access_token', 'a secret answer'])
      expect(stdout + stderr).not.toContain(secret);
  });

  it('is refused elsewhere, for pages of foreign origins, and with a foreign connection id', async () => {
    const token = await session.token('ana');
    const host = new URL(gateway.url).host;
    expect(await refusal(gateway.url.replace('/exam', '/other'), token)).toMatchObject({ status: 404 });
    expect(await refusal(gateway.url, token, { Origin: 'https://evil.example' })).toMatchObject({
      status: 403,
      code: 'origin',
    });
    expect(await refusal(gateway.url, token, { Origin: `http://${host}` })).toEqual({ status: 101 });
    expect(await refusal(`${gateway.url}?id=unknown`, token)).toMatchObject({
      status: 404,
      code: 'unknown_connection',
    });
  });

  it('that speaks another protocol is closed', async () => {
    const client = wire(await openSocket(gateway.url, await session.token('foreign')));
    client.ws.send('{"protocol":"messagepack","version":1}\u001e');
    expect(await client.ended()).toEqual({ code: 1008, reason: 'handshake refused' });
    expect(client.records).toEqual([{ error: expect.stringContaining('use json') }]);
  });

  it('is closed when its token ends, in a way that lets a stock client come back', async () => {
    const client = await connect(
      gateway.url,
      await session.token('short', { exp: Math.floor(Date.now() / 1_000) + 1 }),
    );
    expect(await client.ended()).toEqual({ code: 1008, reason: 'token_expired' });
    expect(client.records.at(-1)).toEqual({ type: 7, error: 'token_expired', allowReconnect: true });
  });
});

describe('limits', () => {
  it('close the oldest connection of a student who opens too many', async () => {
    const limited = await session.start({ limits: { studentConnections: 2 } });
    const clients = [];
    for (let count = 0; count < 3; count++) clients.push(await connect(limited.url, await session.token('many')));
    expect(await clients[0]!.ended()).toEqual({ code: 1008, reason: 'too_many_connections' });
    expect(await clients[2]!.invoke('Open', 'writer-01')).toHaveProperty('result');
    expect(await limited.health()).toMatchObject({ connections: 2, students: 1 });
  });

  it('send newcomers away with a time to come back: per student, per process, by rate', async () => {
    const limits = {
      studentConnectBurst: 2,
      studentConnectsPerSecond: 0.1,
      connectionBurst: 4,
      connectionsPerSecond: 0.1,
    };
    const limited = await session.start({ limits, capacity: 3 });
    const url = limited.url;
    const hasty = await session.token('hasty');
    expect(await refusal(url, hasty)).toEqual({ status: 101 });
    expect(await refusal(url, hasty)).toEqual({ status: 101 });
    expect(await refusal(url, hasty)).toEqual({ status: 429, code: 'rate', retryAfter: '2' });
    expect(await refusal(url, await session.token('calm'))).toEqual({ status: 101 });
    expect(await refusal(url, await session.token('late'))).toMatchObject({ status: 503, code: 'capacity' });
    expect((await limited.ops('/ready')).status).toBe(503);
    const next = await session.start({ limits });
    for (let count = 0; count < 4; count++) await refusal(next.url, await session.token(`student-${count}`));
    const turned = await refusal(next.url, await session.token('too-much'));
    expect(turned).toEqual({ status: 503, code: 'rate', retryAfter: expect.stringMatching(/^[1-4]$/) });
    expect(await next.ops('/metrics').then((response) => response.text())).toContain(
      'untradex_gateway_denied_total{code="rate"} 1',
    );
  });
});

describe('negotiate', () => {
  it('gives a connection id that another gateway of the session accepts', async () => {
    const other = await session.start();
    const answer = (await (await post('/negotiate?negotiateVersion=1', 'ana')).json()) as { connectionToken: string };
    const id = answer.connectionToken;
    expect(await refusal(`${other.url}?id=${id}`, await session.token('ana'))).toEqual({ status: 101 });
    expect(await refusal(`${other.url}?id=${id}`, await session.token('eva'))).toMatchObject({ status: 404 });
  });

  it('needs a token, POST, and an allowed origin', async () => {
    expect((await fetch(`${gateway.url}/negotiate`, { method: 'POST' })).status).toBe(401);
    expect((await fetch(`${gateway.url}/negotiate`)).status).toBe(405);
    expect((await fetch(gateway.url)).status).toBe(426);
    expect((await fetch(gateway.url.replace('/exam', '/'))).status).toBe(404);
    expect((await post('/negotiate', 'ana', { headers: { Origin: 'https://evil.example' } })).status).toBe(403);
  });

  it('answers the preflight of an allowed page', async () => {
    const open = await session.start({ origins: ['https://lms.example'] });
    const headers = { Origin: 'https://lms.example', 'Access-Control-Request-Method': 'POST' };
    const preflight = await fetch(`${open.url}/negotiate`, { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://lms.example');
    const foreign = await fetch(`${open.url}/negotiate`, {
      method: 'OPTIONS',
      headers: { Origin: 'https://evil.example' },
    });
    expect(foreign.status).toBe(405);
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('sockets without a request', () => {
  const raw = (bytes: string) => {
    const socket = connectTcp(gateway.port, '127.0.0.1');
    onScopeEnd(() => void socket.destroy());
    socket.on('error', () => undefined);
    socket.write(bytes);
    return socket;
  };

  it('may offer h2c with a request, as some clients always do', async () => {
    const token = await session.token('java');
    const offer = 'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
    const answer = text(
      raw(
        `POST /exam/negotiate HTTP/1.1\r\nHost: x\r\n${offer}Authorization: Bearer ${token}\r\nContent-Length: 0\r\n\r\n`,
      ),
    );
    expect(await answer).toMatch(/^HTTP\/1.1 200/);
  });

  it('get an answer to nonsense, and are closed', async () => {
    expect(await text(raw('NONSENSE\r\n\r\n'))).toMatch(/^HTTP\/1.1 400/);
    expect(await text(raw(`GET /exam HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`))).toMatch(
      /^HTTP\/1.1 4/,
    );
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
    expect(await text(raw(`GET /exam HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`))).toMatch(/^HTTP\/1.1 401/);
  });
});

describe('the second port', () => {
  it('tells how the process is', async () => {
    expect(await (await gateway.ops('/live')).json()).toEqual({ live: true });
    expect(await (await gateway.ops('/ready')).json()).toEqual({ ready: true });
    expect(await gateway.health()).toMatchObject({
      pid: gateway.program.pid,
      mode: 'serve',
      shards: [{ shard: 0, phase: 'ready' }],
      alarms: { count: 0 },
    });
    const metrics = await (await gateway.ops('/metrics')).text();
    for (const name of ['signalr_server_active_connections', 'untradex_gateway_shard_ready{shard="0"} 1', 'nodejs_']) {
      expect(metrics).toContain(name);
    }
    expect((await gateway.ops('/')).status).toBe(404);
  });
});

describe('a rehearsal', () => {
  it('admits students of the rehearsal only', async () => {
    const rehearsal = await startSession({ rehearsal: true });
    const { url } = await rehearsal.start();
    expect(await refusal(url, await rehearsal.token('ana'))).toMatchObject({ status: 403, code: 'rehearsal_only' });
    expect(await refusal(url, await rehearsal.token('ana', { rehearsal: true }))).toEqual({ status: 101 });
  });
});

describe('a gateway that cannot start', () => {
  it('says everything that is wrong, and ends', async () => {
    const { startProgram } = await import('#test/support/process.ts');
    const config = session.config({ mode: 'fast', capacity: 0 });
    const program = startProgram({ argv: [process.execPath, 'gateway/main.ts', '--config', config] });
    expect(await program.ended()).toEqual({ code: 1, signal: null });
    expect(program.stderr).toMatch(/mode:.*\n.*capacity:/);
    const without = startProgram({ argv: [process.execPath, 'gateway/main.ts'] });
    expect((await without.ended()).code).toBe(1);
    expect(without.stderr).toContain('usage');
  });
});
