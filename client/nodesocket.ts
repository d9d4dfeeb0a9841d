import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { limits } from '#queue/limits.ts';
import type { Connect, SocketEnd } from './socket.ts';

/** @property ca PEM of the authority that signed the gateway's certificate, where the system does not know it */
export interface NodeConnectOptions {
  readonly ca?: string;
}

/**
 * Connects by the `ws` library: the token as Bearer header, no compression (20 KB a connection), and a refused upgrade
 * tells its HTTP status and Retry-After.
 */
export function nodeConnect(options: NodeConnectOptions = {}): Connect {
  return (url, token, events) => {
    const socket = new WebSocket(url, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      maxPayload: limits.frameBytes,
      maxFragments: limits.frameFragments,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    let refusal: Partial<SocketEnd> = {};
    socket.on('open', () => events.opened());
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) socket.close(4003, 'text messages only');
      else events.text(data.toString());
    });
    socket.on('unexpected-response', (_request, response) => {
      const { statusCode, statusMessage } = response;
      refusal = {
        reason: statusMessage ?? '',
        status: statusCode ?? 0,
        ...retryAfter(response.headers['retry-after']),
      };
      void readWords(response).then((words) => {
        refusal = { ...refusal, ...words };
        socket.terminate();
      });
    });
    // 'close' follows every 'error' and ends the connection; the message is all that it lacks.
    socket.on('error', (error) => {
      refusal = { reason: error.message, ...refusal };
    });
    socket.on('close', (code, reason) => events.closed({ code, reason: reason.toString(), ...refusal }));
    return {
      send(text) {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: () => socket.close(1000),
      drop: () => socket.terminate(),
    };
  };
}

/** A gateway says why in JSON, `{error, message}`. Reads 1 KiB at most; how long is bounded by whoever drops the socket. */
async function readWords(response: IncomingMessage): Promise<{ reason?: string }> {
  let body = '';
  try {
    for await (const chunk of response) {
      body += chunk;
      if (body.length > 1_024) break;
    }
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === 'string' ? { reason: error } : {};
  } catch {
    // Some other server, or the connection broke: the status has to do.
    return {};
  }
}

function retryAfter(header: string | undefined): { retryAfterMs?: number } {
  const seconds = Number(header);
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {};
}
