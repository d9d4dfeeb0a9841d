import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import type { KubeConfig } from '@kubernetes/client-node';
import { problem } from '#queue/problem.ts';

export interface HttpRequest {
  readonly method: string;
  /** With its query, as the API documents it. */
  readonly path: string;
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
  /** Called when the connection stands and the next thing is to write the request to it. What it throws, `open` throws. */
  readonly beforeSend?: (() => void) | undefined;
  readonly signal: AbortSignal;
  /** The reply is long: it gets a connection of its own. */
  readonly long?: boolean;
}

/** HTTP to one API server, as the user of a kubeconfig. */
export interface Transport {
  /** Resolves with the head of the reply; its body is still to be read. */
  open(request: HttpRequest): Promise<http.IncomingMessage>;
  /** Closes connections that wait for a request: after one fell silent, the others may be dead as well. */
  dropIdle(): void;
  /** Closes all connections. */
  close(): void;
}

/** Connections at the same time, without watches; more requests wait for one of them, within their time limit. */
const mostConnections = 64;
/** Idle connections are closed before the API server, or a balancer on the way, does. */
const idleMs = 20_000;

/**
 * The client library's own HTTP is passed by: its agent keeps no connection alive, and keeps the first certificates
 * for ever. Used of it: the kubeconfig, every way of authentication, and its agents for proxies.
 */
export function createTransport(kubeConfig: KubeConfig, userAgent: string): Transport {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) {
    throw problem('api_config', 'the kubeconfig has no current cluster', 'Set current-context in the kubeconfig.');
  }
  const base = new URL(cluster.server);
  const module = base.protocol === 'http:' ? http : https;
  const keepAlive = { keepAlive: true, keepAliveMsecs: 30_000 };
  const agent = new module.Agent({ ...keepAlive, maxSockets: mostConnections, timeout: idleMs });
  const longAgent = new module.Agent(keepAlive);

  async function optionsOf({ method, path, body, contentType, long }: HttpRequest): Promise<https.RequestOptions> {
    const options: https.RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(options);
    if (cluster?.proxyUrl === undefined) options.agent = long ? longAgent : agent;
    return {
      ...options,
      ...{ method, host: base.hostname.replace(/^\[|\]$/g, ''), port: base.port || undefined },
      path: base.pathname.replace(/\/$/, '') + path,
      headers: {
        ...options.headers,
        ...{ accept: 'application/json', 'user-agent': userAgent },
        ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
        ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      },
    };
  }

  async function open(request: HttpRequest, again = true): Promise<http.IncomingMessage> {
    const options = await optionsOf(request);
    request.signal.throwIfAborted();
    const sent = module.request({ ...options, signal: request.signal });
    try {
      return await replyTo(sent, request);
    } catch (error) {
      // The server closed an idle connection in this very moment. A write may have arrived all the same.
      const closedIdle = sent.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
      if (!closedIdle || !again || request.method !== 'GET') throw error;
      return open(request, false);
    }
  }

  return {
    open: (request) => open(request),
    dropIdle() {
      for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
    },
    close() {
      agent.destroy();
      longAgent.destroy();
    },
  };
}

function replyTo(sent: http.ClientRequest, { body, beforeSend }: HttpRequest): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.on('socket', (socket) => {
      if (!socket.listeners('error').includes(toldElsewhere)) socket.on('error', toldElsewhere);
      whenConnected(socket, () => {
        try {
          beforeSend?.();
          sent.end(body);
        } catch (error) {
          sent.destroy(error as Error);
        }
      });
    });
  });
}

/**
 * What a request or reply has heard of too. Node takes its own listener off a socket whose reply has come to its end, a
 * moment before a request that is aborted just then destroys it with an error (Node 24.21): that would end the process.
 */
function toldElsewhere(): void {}

function whenConnected(socket: Socket, then: () => void): void {
  const { secureConnecting } = socket as Socket & { readonly secureConnecting?: boolean };
  if (secureConnecting === true) socket.once('secureConnect', then);
  else if (socket.connecting) socket.once('connect', then);
  else then();
}
