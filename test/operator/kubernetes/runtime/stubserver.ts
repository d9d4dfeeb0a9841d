import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { type Api, type ApiOptions, createApi } from '#operator/kubernetes/runtime/api.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';

/** An HTTP server that answers as a test wants, and an Api that takes it for an API server. */
export async function stubServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  options: Partial<ApiOptions> = {},
): Promise<{ readonly api: Api; readonly port: number }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onScopeEnd(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return { api: apiAt(port, options), port };
}

export function apiAt(port: number, options: Partial<ApiOptions> = {}): Api {
  const config = new KubeConfig();
  const user = { name: 'test', token: 'a-secret-token' };
  config.loadFromClusterAndUser({ name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true }, user);
  const api = createApi(config, { userAgent: 'untradex-test', ...options });
  onScopeEnd(() => api.close());
  return api;
}

export function reply(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
