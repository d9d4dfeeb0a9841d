import type { IncomingMessage } from 'node:http';
import { isProblem, problem } from '#queue/problem.ts';
import { type Asked, connectionProblem, describe, replyProblem } from './apierror.ts';
import type { KubeObject } from './object.ts';

export interface WatchEvent {
  /** BOOKMARK: nothing changed, but `object.metadata.resourceVersion` is as far as the watch has come. */
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: KubeObject;
}

export interface WatchOptions {
  /** That of a list: events after it. */
  readonly resourceVersion: string;
  readonly allowWatchBookmarks?: boolean;
  /** The server ends the watch after so long; by itself it takes 30 to 60 minutes. */
  readonly timeoutSeconds?: number;
  /** A watch that brings not even a bookmark for so long counts as cut: `api_timeout`. For ever when left out. */
  readonly silenceMs?: number;
  /** The server took the request; events may come much later. */
  readonly onOpen?: () => void;
  /** Ends the watch; it resolves. */
  readonly signal: AbortSignal;
}

/** Where a watch begins: a path, the selection of its objects, and a connection. */
export interface WatchTarget {
  readonly path: string;
  readonly query: (values: Record<string, string | undefined>) => string;
  readonly asked: Asked;
  readonly open: (path: string, signal: AbortSignal) => Promise<IncomingMessage>;
}

/** An event is one line of JSON, of an object of at most 1.5 MiB (etcd's limit) and its managed fields. */
const longestLine = 16 * 1_048_576;

/**
 * One watch. Resolves when the server ends it in good order, which is no reason to list again, or when `signal` is
 * given. Rejects with `api_gone` when the events since `resourceVersion` are no longer kept, with `api_unreachable` or
 * `api_timeout` when the connection broke or fell silent, and with whatever `onEvent` throws.
 */
export async function watch(
  target: WatchTarget,
  options: WatchOptions,
  onEvent: (event: WatchEvent) => void,
): Promise<void> {
  const { resourceVersion, allowWatchBookmarks = true, timeoutSeconds, silenceMs, signal } = options;
  const values = {
    ...{ watch: 'true', resourceVersion, allowWatchBookmarks: String(allowWatchBookmarks) },
    timeoutSeconds: timeoutSeconds?.toString(),
  };
  const silence = createSilence(silenceMs);
  let handling = false;
  try {
    const reply = await target.open(target.path + target.query(values), AbortSignal.any([signal, silence.signal]));
    silence.broken();
    options.onOpen?.();
    for await (const line of linesOf(reply, silence.broken)) {
      const event = eventOf(target.asked, line);
      handling = true;
      onEvent(event);
      handling = false;
    }
  } catch (error) {
    if (handling) throw error;
    if (signal.aborted) return;
    if (isProblem(error) && !silence.signal.aborted) throw error;
    throw connectionProblem(target.asked, error, silence.signal.aborted);
  } finally {
    silence.end();
  }
}

/** Aborts its signal when `broken` is not called for `ms`. */
function createSilence(ms: number | undefined) {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  return {
    signal: controller.signal,
    broken() {
      if (ms === undefined) return;
      if (timer === undefined) timer = setTimeout(() => controller.abort(), ms);
      else timer.refresh();
    },
    end: () => clearTimeout(timer),
  };
}

async function* linesOf(reply: IncomingMessage, onBytes: () => void): AsyncGenerator<string> {
  reply.setEncoding('utf8');
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of reply as AsyncIterable<string>) {
    onBytes();
    let from = 0;
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', from)) {
      yield parts.join('') + chunk.slice(from, end);
      from = end + 1;
      parts = [];
      length = 0;
    }
    parts.push(chunk.slice(from));
    length += chunk.length - from;
    if (length > longestLine) throw problem('api_failed', 'an event of a watch is too long', 'Report it.');
  }
}

function eventOf(asked: Asked, line: string): WatchEvent {
  const event = parsed(asked, line);
  if (event.type !== 'ERROR') return event as WatchEvent;
  const { code = 500 } = event.object as { readonly code?: number };
  throw replyProblem(asked, code, JSON.stringify(event.object));
}

function parsed(asked: Asked, line: string): { readonly type: string; readonly object: unknown } {
  try {
    return JSON.parse(line) as { type: string; object: unknown };
  } catch (cause) {
    throw problem('api_failed', `${describe(asked)}: an event is no JSON`, 'It is watched anew.', { cause });
  }
}
