import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Verdict {
  readonly ok: boolean;
  /** Why not; for people. */
  readonly reason?: string;
}

export interface OpsParts {
  /** 0: any that is free. */
  readonly port: number;
  /** All addresses when left out: kubelet and Prometheus come from outside of the pod. */
  readonly host?: string;
  /** False when only a restart helps. */
  live(): Verdict;
  /** False while it cannot do its work; a standby that could lead is ready. */
  ready(): Verdict;
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

export interface OpsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/livez`, `/readyz` (for kubelet) and `/metrics` (for Prometheus). Rejects when the port is taken. */
export async function startOpsServer(parts: OpsParts): Promise<OpsServer> {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
    answer(parts, request.method ?? '', request.url ?? '').then(
      ({ status, type, body }) => {
        response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' });
        response.end(request.method === 'HEAD' ? undefined : body);
      },
      () => response.writeHead(500).end('The metrics could not be read.\n'),
    );
  });
  server.maxConnections = 256;
  server.listen(parts.port, parts.host ?? '::');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(parts: OpsParts, method: string, url: string) {
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'Only GET and HEAD.');
  switch (url.split('?')[0]) {
    case '/livez':
      return verdict(parts.live());
    case '/readyz':
      return verdict(parts.ready());
    case '/metrics':
      return { status: 200, type: parts.metrics.contentType, body: await parts.metrics.text() };
    default:
      return text(404, 'There are /livez, /readyz and /metrics.');
  }
}

function verdict({ ok, reason }: Verdict) {
  return ok ? text(200, 'ok') : text(503, reason ?? 'not ok');
}

function text(status: number, words: string) {
  return { status, type: 'text/plain; charset=utf-8', body: `${words}\n` };
}
