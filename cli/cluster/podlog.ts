import { createInterface } from 'node:readline';
import type { KubeConfig } from '@kubernetes/client-node';
import { version } from '#exporter/version.ts';
import { createApiCalls } from '#operator/kubernetes/runtime/apicalls.ts';
import { objectPath, resourceOf } from '#operator/kubernetes/runtime/kinds.ts';

export interface PodLogQuery {
  readonly namespace: string;
  readonly pod: string;
  /** Left out: the only one. */
  readonly container?: string;
  /** Goes on with new lines until the container ends. */
  readonly follow?: boolean;
  /** Begins each line with its time. */
  readonly timestamps?: boolean;
  /** Only lines of the last so many seconds. */
  readonly sinceSeconds?: number;
  /** Only the last so many lines. */
  readonly tailLines?: number;
  /** Of the container that ran before. */
  readonly previous?: boolean;
}

export interface PodLogs {
  /** The lines, until the end of the log, or of the connection: which of both it was is not told. */
  lines(query: PodLogQuery, signal: AbortSignal): AsyncGenerator<string>;
  close(): void;
}

export function createPodLogs(kubeConfig: KubeConfig): PodLogs {
  const calls = createApiCalls(kubeConfig, { userAgent: `kubectl-untradex/${version}` });
  return {
    async *lines({ namespace, pod, ...query }, signal) {
      const given = Object.entries(query).filter(([, value]) => value !== undefined);
      const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
      const ref = { apiVersion: 'v1', kind: 'Pod', namespace, name: pod };
      const path = `${objectPath(ref)}/log?${search}`;
      const asked = { verb: 'get', resource: resourceOf(ref), subresource: 'log', namespace, name: pod };
      const reply = await calls.open({ ...asked, method: 'GET', path, signal });
      const lines = createInterface({ input: reply, crlfDelay: Number.POSITIVE_INFINITY });
      // Without a listener a cut connection would end the process; the lines end then, which is told by the caller.
      reply.on('error', () => lines.close());
      try {
        yield* lines;
      } finally {
        reply.destroy();
      }
    },
    close: () => calls.close(),
  };
}
