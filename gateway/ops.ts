import { createServer, type Server } from 'node:http';

/** What the operators' port tells; everything is asked when somebody asks. */
export interface OpsParts {
  /** Whether new students may be sent here; else why not. */
  ready(): { readonly ready: boolean; readonly reason?: string };
  health(): unknown;
  metrics(): Promise<string>;
  readonly metricsType: string;
}

/**
 * The second port, for those who operate: `/live` (the process turns), `/ready` (it takes students), `/health` (JSON),
 * `/metrics` (Prometheus). Students never reach it.
 */
export function createOpsServer(parts: OpsParts): Server {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
    answer(parts, request.url ?? '').then(
      ({ status, type, body }) => {
        response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' });
        response.end(body);
      },
      () => response.writeHead(500).end(),
    );
  });
  server.maxConnections = 256;
  return server;
}

async function answer(parts: OpsParts, url: string): Promise<{ status: number; type: string; body: string }> {
  switch (url.split('?')[0]) {
    case '/live':
      return json(200, { live: true });
    case '/ready': {
      const verdict = parts.ready();
      return json(verdict.ready ? 200 : 503, verdict);
    }
    case '/health':
      return json(200, parts.health());
    case '/metrics':
      return { status: 200, type: parts.metricsType, body: await parts.metrics() };
    default:
      return json(404, { error: 'not_found', message: 'There are /live, /ready, /health and /metrics.' });
  }
}

function json(status: number, body: unknown) {
  return { status, type: 'application/json', body: JSON.stringify(body) };
}
