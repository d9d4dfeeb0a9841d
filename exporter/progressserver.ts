import { createServer, type Server } from 'node:http';
import type { Progress } from './lines.ts';

/**
 * The port for whoever runs the exporter as a pod: `GET /progress` gives {step, shard, rows, total, rowsPerSecond} of
 * the latest step (shard only of a loader), `GET /live` says that the process turns. It keeps no program running.
 */
export function createProgressServer(progress: () => Progress): Server {
  const server = createServer({ headersTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
    const { status, body } = answer(progress, (request.url ?? '').split('?')[0]!);
    response.writeHead(status, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      Connection: 'close',
    });
    response.end(JSON.stringify(body));
  });
  server.maxConnections = 32;
  return server.unref();
}

function answer(progress: () => Progress, path: string): { status: number; body: object } {
  switch (path) {
    case '/progress':
      return { status: 200, body: progress() };
    case '/live':
      return { status: 200, body: { live: true } };
    default:
      return { status: 404, body: { error: 'not_found', message: 'There are /progress and /live.' } };
  }
}
