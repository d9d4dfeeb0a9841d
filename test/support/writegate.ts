import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { TestApiServer } from './apiserver.ts';
import { onScopeEnd } from './cleanup.ts';
import { tmpFolder } from './tmp.ts';

/** A write that the API server has done, and of which the client does not know yet. */
export interface GateWrite {
  /** 1 for the first. Requests for leases, events and reviews do not count. */
  readonly number: number;
  readonly method: string;
  readonly path: string;
  /** What was sent. */
  readonly body: unknown;
}

/** Stands between a client and a real API server, and tells of each write before its reply goes back. */
export interface WriteGate {
  /** For the client: it reaches the gate as the admin, without TLS. */
  readonly kubeconfig: string;
  readonly writes: readonly GateWrite[];
  /** Called with each write that was done; the reply waits for it. */
  onWrite: (write: GateWrite) => void;
}

export async function startWriteGate(server: TestApiServer): Promise<WriteGate> {
  const agent = new Agent({ ca: server.ca, keepAlive: true });
  const writes: GateWrite[] = [];
  const gate = { kubeconfig: '', writes, onWrite: (_: GateWrite) => {} };

  function forward(asked: IncomingMessage, reply: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = asked;
    let body = '';
    asked.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    const sent = request(new URL(url, server.url), { agent, method, headers }, (came) => {
      if (isWrite(method, url) && (came.statusCode ?? 500) < 300) {
        const write = { number: writes.length + 1, method, path: url, body: body === '' ? null : JSON.parse(body) };
        writes.push(write);
        gate.onWrite(write);
      }
      reply.writeHead(came.statusCode ?? 502, came.headers);
      came.pipe(reply);
      came.on('error', () => reply.destroy());
    });
    sent.on('error', () => reply.destroy());
    // A client that was killed: its watch ends, and a write that is under way is done all the same.
    reply.on('close', () => {
      if (method === 'GET') sent.destroy();
    });
    asked.pipe(sent);
  }

  const http = createServer(forward).listen(0, '127.0.0.1');
  await once(http, 'listening');
  onScopeEnd(async () => {
    http.close();
    http.closeAllConnections();
    agent.destroy();
  });
  gate.kubeconfig = writeKubeconfig(server, `http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  return gate;
}

function isWrite(method: string, path: string): boolean {
  return method !== 'GET' && !/\/(leases|events|tokenreviews|subjectaccessreviews)\b/.test(path);
}

function writeKubeconfig({ kubeconfig }: TestApiServer, url: string): string {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as { clusters: { cluster: object }[] };
  // The client library takes a server without TLS only like that.
  config.clusters[0]!.cluster = { server: url, 'insecure-skip-tls-verify': true };
  const file = join(tmpFolder('gate'), 'kubeconfig.yaml');
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}
