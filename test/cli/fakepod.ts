import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { onScopeEnd } from '#test/support/cleanup.ts';

/** As much of an API server as a reader of one container's log meets: its lives, and connections that break. */
export interface FakePod {
  readonly kubeConfig: KubeConfig;
  readonly ref: { readonly namespace: string; readonly pod: string; readonly uid: string; readonly container: string };
  /** The container says something. `stay` gives it the time of the line before. */
  say(text: string, stay: boolean): void;
  /** Breaks the connections over which its log is followed. */
  cut(): void;
  /** The container ends, and begins a new life at once. Only the log of the life before is kept. */
  restart(): void;
  /** The container ends for good. */
  end(): void;
  /** Somebody follows the log of this life. */
  readonly isFollowed: boolean;
}

interface Line {
  readonly at: string;
  readonly text: string;
}

const namespace = 'exams';
const [pod, uid, container] = ['algebra-gateway-1', 'the-uid', 'gateway'];

export async function startFakePod(): Promise<FakePod> {
  let [previous, current]: [Line[], Line[]] = [[], []];
  let [life, over, nanos] = [0, false, 0];
  const followers = new Set<ServerResponse>();

  function status(): object {
    const terminated = { exitCode: 0 };
    const state = over ? { terminated } : { running: {} };
    const containerStatuses = [
      { name: container, restartCount: life, state, lastState: life > 0 ? { terminated } : {} },
    ];
    return { phase: over ? 'Succeeded' : 'Running', containerStatuses };
  }

  function log(query: URLSearchParams, reply: ServerResponse): void {
    const lines = query.get('previous') === 'true' ? previous : current;
    const since = query.get('sinceTime')?.slice(0, 19) ?? '';
    const tail = Number(query.get('tailLines') ?? lines.length);
    reply.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders();
    for (const line of lines.filter(({ at }) => at.slice(0, 19) >= since).slice(-tail || lines.length))
      write(reply, line);
    if (query.get('follow') !== 'true' || over) reply.end();
    else followers.add(reply);
  }

  const server = createServer((request: IncomingMessage, reply) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://any');
    if (pathname.endsWith('/log')) return log(searchParams, reply);
    const object = { apiVersion: 'v1', kind: 'Pod', metadata: { name: pod, namespace, uid }, status: status() };
    reply.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(object));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onScopeEnd(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  const endFollowers = (how: (reply: ServerResponse) => void) => {
    for (const reply of followers) how(reply);
    followers.clear();
  };
  return {
    kubeConfig: configOf((server.address() as AddressInfo).port),
    ref: { namespace, pod, uid, container },
    say(text, stay) {
      if (!stay) nanos += 333_333_333;
      const line = { at: timeOf(nanos), text };
      current.push(line);
      for (const reply of followers) write(reply, line);
    },
    cut: () => endFollowers((reply) => reply.socket?.resetAndDestroy()),
    restart() {
      [previous, current] = [current, []];
      life++;
      nanos++;
      endFollowers((reply) => reply.end());
    },
    end() {
      over = true;
      endFollowers((reply) => reply.end());
    },
    get isFollowed() {
      return followers.size > 0;
    },
  };
}

function write(reply: ServerResponse, { at, text }: Line): void {
  reply.write(`${at} ${text}\n`);
}

/** `2026-05-04T09:00:01.333333333Z` */
function timeOf(nanos: number): string {
  const at = new Date(Date.parse('2026-05-04T09:00:00Z') + Math.floor(nanos / 1e9) * 1_000).toISOString().slice(0, 19);
  return `${at}.${String(nanos % 1e9).padStart(9, '0')}Z`;
}

function configOf(port: number): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'me' },
  );
  return config;
}
