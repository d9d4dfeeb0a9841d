import { version } from '#exporter/version.ts';
import { createApiCalls } from '#operator/kubernetes/runtime/apicalls.ts';
import { objectPath, resourceOf } from '#operator/kubernetes/runtime/kinds.ts';
import { isProblem } from '#queue/problem.ts';
import type { Connection } from './connection.ts';
import { utcTime } from './logtime.ts';
import { isTransient } from './patience.ts';
import { textLines } from './textlines.ts';

export interface PodLogQuery {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Goes on with new lines until the container ends. */
  readonly follow?: boolean;
  /** Only lines that are not older (ISO). The API server knows whole seconds. */
  readonly sinceTime?: string | undefined;
  /** Only the last so many lines. */
  readonly tailLines?: number | undefined;
  /** Of the container that ran before. */
  readonly previous?: boolean;
  readonly limitBytes?: number;
}

/** One line of a container's log. */
export interface LogLine {
  /** When its node wrote it down (logtime.ts); empty when that is not told. */
  readonly at: string;
  readonly text: string;
}

export interface PodLogs {
  /**
   * The lines, until the end of the log or of the connection: which of both it was is not told. None when the container
   * has no log, since it or the pod has not started or is gone; none when it is followed and the API server is away.
   */
  lines(query: PodLogQuery, signal: AbortSignal): AsyncGenerator<LogLine, void, undefined>;
  close(): void;
}

export function createPodLogs({ kubeConfig, explained }: Pick<Connection, 'kubeConfig' | 'explained'>): PodLogs {
  const calls = createApiCalls(kubeConfig, { userAgent: `kubectl-untradex/${version}` });

  async function open({ namespace, pod, ...query }: PodLogQuery, signal: AbortSignal) {
    const given = Object.entries({ ...query, timestamps: true }).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    const ref = { apiVersion: 'v1', kind: 'Pod', namespace, name: pod };
    const path = `${objectPath(ref)}/log?${search}`;
    const asked = { verb: 'get', resource: resourceOf(ref), subresource: 'log', namespace, name: pod };
    try {
      return await calls.open({ ...asked, method: 'GET', path, signal });
    } catch (error) {
      if (signal.aborted || hasNoLog(error) || (query.follow && isTransient(error))) return null;
      throw explained(error);
    }
  }

  return {
    async *lines(query, signal) {
      const reply = await open(query, signal);
      if (reply === null) return;
      try {
        for await (const line of textLines(reply)) yield stamped(line);
      } catch (error) {
        // A connection that was cut ends the lines; so does whoever wants no more of them.
        if (!isCut(error) && !signal.aborted) throw error;
      } finally {
        reply.destroy();
      }
    },
    close: () => calls.close(),
  };
}

/** `container "gateway" in pod "x" is waiting to start`, `previous terminated container ... not found`. */
function hasNoLog(error: unknown): boolean {
  return isProblem(error) && (error.code === 'api_not_found' || error.code === 'api_invalid');
}

function isCut(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function stamped(line: string): LogLine {
  const end = line.indexOf(' ');
  const at = utcTime(end === -1 ? line : line.slice(0, end));
  return at === '' ? { at, text: line } : { at, text: end === -1 ? '' : line.slice(end + 1) };
}
