import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { isProblem, problem } from '#queue/problem.ts';
import { type Asked, connectionProblem, describe, replyProblem } from './apierror.ts';
import { createRateLimit } from './ratelimit.ts';
import { createTransport, type HttpRequest } from './transport.ts';

export interface ApiCallsOptions {
  readonly userAgent: string;
  /** For a call as a whole: waiting for its turn, for a connection, and being asked to come later. */
  readonly timeoutMs?: number;
  /**
   * Called right before a write is sent, each time it is; throws when it must not be. Requests to take or renew a
   * lease go through an Api without it.
   */
  readonly fence?: (() => void) | undefined;
  /** Told of every request that ended. `code` is the HTTP status, or the code of the Problem when none came. */
  readonly onRequest?:
    | ((request: { readonly verb: string; readonly code: string; readonly ms: number }) => void)
    | undefined;
  /** Told of warnings that the server sends with a reply (deprecated kinds, unknown fields). */
  readonly onWarning?: ((warning: string) => void) | undefined;
  /** Requests a second, and at once after a quiet time. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
}

export interface ApiCall extends Asked {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Changes nothing, so it is not fenced; that GET is harmless needs no saying. */
  readonly harmless?: boolean;
}

export interface ApiCalls {
  /** The reply, which must be JSON. */
  json(call: ApiCall): Promise<unknown>;
  /** The reply as JSON, or as text. */
  any(call: ApiCall): Promise<unknown>;
  /** A reply without an end: its body is the caller's. Only the wait for its head is limited. */
  open(call: ApiCall): Promise<IncomingMessage>;
  close(): void;
}

/** How often a request that the server put off (429) is sent again. */
const mostPutOffs = 5;
const largestReplyBytes = 128 * 1_048_576;

/** Sends requests: limits their rate and time, waits when the server says so, makes Problems of what goes wrong. */
export function createApiCalls(kubeConfig: KubeConfig, options: ApiCallsOptions): ApiCalls {
  const { userAgent, timeoutMs = 15_000, fence, onRequest, onWarning, rate = { perSecond: 100, burst: 200 } } = options;
  const transport = createTransport(kubeConfig, userAgent);
  const rateLimit = createRateLimit(rate.perSecond, rate.burst, () => performance.now());

  /** Tries until the server does not put it off any more, within the time limit; `read` gets the good reply. */
  async function send<T>(call: ApiCall, long: boolean, read: (reply: IncomingMessage) => Promise<T> | T): Promise<T> {
    const end = performance.now() + timeoutMs;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeoutMs);
    const signal = call.signal === undefined ? limit.signal : AbortSignal.any([limit.signal, call.signal]);
    try {
      for (let tries = 0; ; tries++) {
        const waitMs = rateLimit.take(end - performance.now());
        if (waitMs === null) throw overloaded(call);
        if (waitMs > 0) await sleep(waitMs, undefined, { signal });
        const reply = await observed(call, requestOf(call, signal, long));
        for (const warning of warningsOf(reply)) onWarning?.(warning);
        if (isGood(reply)) return await read(reply);
        const trouble = replyProblem(call, reply.statusCode ?? 0, await textOf(call, reply));
        const afterMs = retryAfterMs(reply);
        if (reply.statusCode !== 429 || tries === mostPutOffs || performance.now() + afterMs > end) throw trouble;
        await sleep(afterMs, undefined, { signal });
      }
    } catch (error) {
      if (limit.signal.aborted) transport.dropIdle();
      throw isProblem(error) ? error : connectionProblem(call, error, limit.signal.aborted);
    } finally {
      clearTimeout(timer);
    }
  }

  function requestOf(call: ApiCall, signal: AbortSignal, long: boolean): HttpRequest {
    const { method, path, body, contentType, harmless = method === 'GET' } = call;
    const text = body === undefined ? undefined : JSON.stringify(body);
    return { method, path, body: text, contentType, signal, beforeSend: harmless ? undefined : fence, long };
  }

  async function observed({ verb }: ApiCall, request: HttpRequest): Promise<IncomingMessage> {
    const startedAt = performance.now();
    const tell = (code: string) => onRequest?.({ verb, code, ms: performance.now() - startedAt });
    try {
      const reply = await transport.open(request);
      tell(String(reply.statusCode));
      return reply;
    } catch (error) {
      tell(isProblem(error) ? error.code : request.signal.aborted ? 'aborted' : 'unreachable');
      throw error;
    }
  }

  return {
    json: (call) => send(call, false, async (reply) => parsed(call, await textOf(call, reply))),
    any: (call) =>
      send(call, false, async (reply) => {
        const text = await textOf(call, reply);
        return reply.headers['content-type']?.startsWith('application/json') ? parsed(call, text) : text;
      }),
    open: (call) => send(call, true, (reply) => reply),
    close: transport.close,
  };
}

function isGood({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 200 && statusCode < 300;
}

/** The whole body. A reply that were too large for our memory is cut off. */
async function textOf(call: ApiCall, reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > largestReplyBytes) {
      const message = `${describe(call)}: the reply is larger than ${largestReplyBytes} bytes`;
      throw problem('api_failed', message, 'Narrow what is asked for by a label or a namespace.');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(call: ApiCall, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const remedy = 'Something that is no API server answers at its address: check the kubeconfig.';
    throw problem('api_failed', `${describe(call)}: the reply is no JSON`, remedy, { cause });
  }
}

/** Seconds, as RFC 9110 has it (the API server never sends a date); 1 s when nothing is said. */
function retryAfterMs({ headers }: IncomingMessage): number {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 1_000;
}

/** `299 - "policy/v1beta1 is deprecated"` -> what is in the quotes. */
function warningsOf({ headers: { warning = '' } }: IncomingMessage): string[] {
  return [...warning.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text!.replaceAll(/\\(.)/g, '$1'));
}

function overloaded(call: ApiCall) {
  const message = `${describe(call)}: this program asks more than it allows itself, and its turn does not come in time`;
  return problem('api_throttled', message, 'It is tried again later. Use fewer workers, or allow more requests.');
}
