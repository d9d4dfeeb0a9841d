import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { isProblem, problem } from '#queue/problem.ts';
import type { Api } from '../kubernetes/runtime/api.ts';
import { type Caller, createCallers } from './caller.ts';
import { type Answer, routeOf } from './routes.ts';
import { createAdminSessions, type Finalized } from './sessions.ts';
import { createThrottle } from './throttle.ts';

export interface AdminOptions {
  /** Without a fence: admins are answered by a standby as well. */
  readonly api: Api;
  readonly port: number;
  /** PEM files; read again when they change, as certificates are renewed. */
  readonly tls: { readonly certFile: string; readonly keyFile: string };
  /** Namespaces that the operator looks at; empty: all. */
  readonly namespaces: readonly string[];
  readonly log: Logger;
  /** Told of each session that somebody finalized, beside the log. */
  readonly onFinalized?: (done: Finalized, caller: Caller) => void;
}

export interface AdminServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * The admins' HTTP API, over TLS only: GET /api/sessions, GET /api/sessions/NS/NAME, POST …/finalize and
 * POST /api/finalizarexamen. A bearer token of the cluster says who it is, the cluster's own roles what that person
 * may. Every request may be repeated: finalizing twice is finalizing once.
 */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const { tls, log } = options;
  const files = () => ({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) });
  const server = createServer({ ...files(), minVersion: 'TLSv1.2', maxHeaderSize: 16_384 }, handlerOf(options));
  server.headersTimeout = 10_000;
  server.requestTimeout = 15_000;
  server.maxConnections = 1_000;
  const renew = () => {
    try {
      server.setSecureContext({ ...files(), minVersion: 'TLSv1.2' });
    } catch (error) {
      log.error({ err: error }, 'the renewed certificate cannot be used; the old one stays in use');
    }
  };
  watchFile(tls.certFile, { interval: 30_000, persistent: false }, renew);
  await listen(server, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      unwatchFile(tls.certFile, renew);
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
}

function handlerOf({ api, namespaces, log, onFinalized }: AdminOptions) {
  const callers = createCallers(api);
  const sessions = createAdminSessions(api, callers, namespaces);
  const allows = createThrottle();

  async function answer(request: IncomingMessage): Promise<Answer> {
    const route = routeOf(new URL(request.url ?? '/', 'https://admin').pathname);
    if (route === null) throw problem('not_found', 'there is nothing here', 'see GET /api/sessions');
    if (request.method !== route.method) {
      throw problem('method_not_allowed', `this path takes ${route.method}`, `call it with ${route.method}`);
    }
    const caller = await callerOf(request);
    const done = await route.run(sessions, caller);
    if (done.done !== null) audit(done.done, caller);
    return done;
  }

  async function callerOf(request: IncomingMessage): Promise<Caller> {
    const [, token] = /^Bearer ([\w.~+/=-]{1,8192})$/i.exec(request.headers.authorization ?? '') ?? [];
    const caller = token === undefined ? null : await callers.whoIs(token);
    if (caller !== null) return caller;
    const message = token === undefined ? 'there is no bearer token' : 'the token is not valid here, or no longer';
    throw problem('unauthorized', message, 'send a token of the cluster: Authorization: Bearer TOKEN');
  }

  function audit(done: Finalized, caller: Caller): void {
    const { namespace, name, uid } = done.session;
    const facts = { audit: 'finalize', user: caller.username, namespace, name, uid, changed: done.changed };
    log.info(facts, done.changed ? 'a session was asked to finalize' : 'a session was asked to finalize again');
    onFinalized?.(done, caller);
  }

  return async (request: IncomingMessage, response: ServerResponse) => {
    // Nothing is asked for in a body.
    request.resume();
    try {
      if (!allows(request.socket.remoteAddress ?? '', Date.now())) {
        throw problem('too_many_requests', 'too many requests', 'wait for a second, then ask again');
      }
      const { status, body } = await answer(request);
      send(response, status, body);
    } catch (error) {
      sendError(response, error, log);
    }
  };
}

const statusOfCode: Readonly<Record<string, number>> = {
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  api_not_found: 404,
  method_not_allowed: 405,
  several_sessions: 409,
  api_conflict: 409,
  api_invalid: 422,
  too_many_requests: 429,
  api_throttled: 503,
  api_unreachable: 503,
  api_timeout: 503,
};

function sendError(response: ServerResponse, error: unknown, log: Logger): void {
  const status = isProblem(error) ? (statusOfCode[error.code] ?? 500) : 500;
  if (status >= 500) log.error({ err: error }, 'an admin request failed');
  const { code, message, remedy } = isProblem(error)
    ? error
    : { code: 'unexpected', message: 'the request failed', remedy: 'see the log of the operator' };
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (status === 429 || status === 503) response.setHeader('Retry-After', '1');
  send(response, status, { error: { code, message, remedy } });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'Strict-Transport-Security': 'max-age=31536000',
  });
  response.end(`${JSON.stringify(body)}\n`);
}
