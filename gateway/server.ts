import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { limits } from '#queue/limits.ts';
import type { Admission, Turned } from './admission.ts';
import type { Negotiator } from './negotiate.ts';
import { corsHeaders, isOriginAllowed } from './origin.ts';
import { type Bearer, findToken, type TokenCheck, type TokenRefusal } from './token.ts';

/** An answer that refuses a request: also to a WebSocket, before the upgrade, when refusing is still cheap. */
export interface Denial {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

export interface ServerParts {
  readonly capacity: number;
  readonly origins: readonly string[];
  readonly admission: Admission;
  readonly checkToken: TokenCheck;
  readonly negotiator: Negotiator;
  /** Judges a student who wants a WebSocket: null lets in. */
  judgeStudent(student: string): Denial | null;
  /** Takes over an upgraded socket. */
  welcome(ws: WebSocket, socket: Duplex, bearer: Bearer, address: string): void;
  /** Answers `POST /exam/events`. */
  ingest(request: IncomingMessage, response: ServerResponse, bearer: Bearer): Promise<void>;
  /** Counts an answer by its code, for the metrics. */
  denied(code: string): void;
}

const paths = { hub: '/exam', negotiate: '/exam/negotiate', events: '/exam/events' } as const;

/** Upgrades whose token is being checked. Beyond, newcomers are sent away: bounds what a flood can hold. */
const maxChecking = 2_000;

/**
 * The students' port: the hub's WebSocket, `negotiate`, and `events` for those without WebSockets. Whoever opens a
 * socket must ask for something within seconds, and shows a token with the first request.
 */
export function createServer(parts: ServerParts): Server {
  const server = createHttpServer({
    headersTimeout: 5_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 10_000,
    connectionsCheckingInterval: 2_000,
    maxHeaderSize: 16_384,
    // Some HTTP clients offer h2c with every request: those are requests like others.
    shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
  });
  // Those in excess could not even be told to come back: leave room for the telling.
  server.maxConnections = parts.capacity + 2_000;
  server.maxHeadersCount = 64;

  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.frameBytes,
    maxFragments: limits.frameFragments,
    maxBufferedChunks: 1_024,
    closeTimeout: 5_000,
  };
  const sockets = new WebSocketServer(options);
  let checking = 0;

  server.on('request', (request, response) => {
    answer(parts, request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else deny(parts, response, { status: 500, code: 'internal', message: 'An error that nobody expected.' });
    });
  });

  server.on('upgrade', (request, socket, head) => {
    // Until the library has the socket, its errors are nobody's: the client went away.
    const ignore = () => undefined;
    socket.on('error', ignore);
    if (checking >= maxChecking) return denyUpgrade(parts, socket, asDenial({ reason: 'busy', retryAfterSeconds: 2 }));
    checking++;
    judgeUpgrade(parts, request)
      .then((verdict) => {
        if ('denial' in verdict) return denyUpgrade(parts, socket, verdict.denial);
        socket.off('error', ignore);
        sockets.handleUpgrade(request, socket, head, (ws) =>
          parts.welcome(ws, socket, verdict.bearer, request.socket.remoteAddress ?? ''),
        );
      })
      .catch(() => socket.destroy())
      .finally(() => checking--);
  });

  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  return server;
}

type Verdict = { readonly bearer: Bearer } | { readonly denial: Denial };

async function judgeUpgrade(parts: ServerParts, request: IncomingMessage): Promise<Verdict> {
  const url = readUrl(request);
  if (url?.path !== paths.hub) return { denial: notFound };
  const turned = parts.admission.judge(Date.now(), true);
  if (turned) return { denial: asDenial(turned) };
  const admitted = await admit(parts, request, url.query);
  if ('denial' in admitted) return admitted;
  const { student } = admitted.bearer;
  const connectionToken = url.query.get('id');
  if (connectionToken !== null && !parts.negotiator.admits(connectionToken, student, Date.now())) {
    return { denial: { status: 404, code: 'unknown_connection', message: 'No such connection id: negotiate again.' } };
  }
  const denial = parts.judgeStudent(student);
  return denial ? { denial } : admitted;
}

/** Origin and token: what every request of a student has to show. */
async function admit(parts: ServerParts, request: IncomingMessage, query: URLSearchParams): Promise<Verdict> {
  if (!isOriginAllowed(request.headers.origin, request.headers.host, parts.origins)) return { denial: foreignOrigin };
  const verdict = await parts.checkToken(findToken(request.headers.authorization, query));
  return 'bearer' in verdict ? verdict : { denial: tokenDenial(verdict.refusal) };
}

async function answer(parts: ServerParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = readUrl(request);
  if (url?.path !== paths.negotiate && url?.path !== paths.events) {
    const isHub = url?.path === paths.hub;
    return deny(parts, response, isHub ? upgradeRequired : notFound);
  }
  const { origin, host } = request.headers;
  if (origin !== undefined && isOriginAllowed(origin, host, parts.origins)) {
    for (const [name, value] of Object.entries(corsHeaders(origin))) response.setHeader(name, value);
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
  }
  if (request.method !== 'POST') return deny(parts, response, onlyPost);
  const turned = parts.admission.judge(Date.now(), false);
  if (turned) return deny(parts, response, asDenial(turned));
  const admitted = await admit(parts, request, url.query);
  if ('denial' in admitted) return deny(parts, response, admitted.denial);
  if (url.path === paths.events) return parts.ingest(request, response, admitted.bearer);
  const version = Number(url.query.get('negotiateVersion') ?? '0');
  // Negotiate has no body to speak of; what a client sends all the same is read away by the server.
  sendJson(response, 200, parts.negotiator.negotiate(admitted.bearer.student, version || 0, Date.now()));
}

const notFound: Denial = { status: 404, code: 'not_found', message: 'Nothing here: the hub is /exam.' };
const onlyPost: Denial = { status: 405, code: 'method_not_allowed', message: 'Use POST.' };
const upgradeRequired: Denial = { status: 426, code: 'upgrade_required', message: 'The hub speaks WebSocket only.' };
const foreignOrigin: Denial = { status: 403, code: 'origin', message: 'Pages of this origin may not call this exam.' };

function asDenial({ reason, retryAfterSeconds }: Turned): Denial {
  return { status: 503, code: reason, message: 'Not now: try again.', retryAfterSeconds };
}

function tokenDenial({ status, code, message }: TokenRefusal): Denial {
  return { status, code, message, ...(status === 503 ? { retryAfterSeconds: 2 } : {}) };
}

function readUrl(request: IncomingMessage): { path: string; query: URLSearchParams } | null {
  const target = request.url ?? '';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  return path.startsWith('/') ? { path, query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)) } : null;
}

/** Answers with JSON. The request is read no further, so its connection can only be used again when it was complete. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(body);
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(text);
}

function denialHeaders({ status, code, retryAfterSeconds }: Denial): Record<string, string> {
  return {
    ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
    ...(status === 401 ? { 'WWW-Authenticate': `Bearer error="${code}"` } : {}),
    ...(status === 405 ? { Allow: 'POST' } : {}),
    ...(status === 426 ? { Upgrade: 'websocket' } : {}),
  };
}

function deny(parts: ServerParts, response: ServerResponse, denial: Denial): void {
  parts.denied(denial.code);
  sendJson(response, denial.status, { error: denial.code, message: denial.message }, denialHeaders(denial));
}

function denyUpgrade(parts: ServerParts, socket: Duplex, denial: Denial): void {
  parts.denied(denial.code);
  const body = JSON.stringify({ error: denial.code, message: denial.message });
  const headers = {
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    ...denialHeaders(denial),
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${denial.status} Denied\r\n${head.join('')}\r\n${body}`);
}
