import cluster from 'node:cluster';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { shardOf } from '#queue/identity.ts';
import { type Admission, createAdmission, turned } from './admission.ts';
import { createAlarms } from './alarms.ts';
import { createAuditor } from './auditor.ts';
import type { GatewayConfig } from './config.ts';
import { drain } from './drain.ts';
import { createHub, type Hub } from './hub.ts';
import { createIngest } from './ingest.ts';
import { createLobby, type Lobby } from './lobby.ts';
import type { Logger } from './log.ts';
import { type LoopLag, measureLoopLag } from './looplag.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createNegotiator } from './negotiate.ts';
import { createOpsServer } from './ops.ts';
import { createReceipts } from './receipts.ts';
import { createServer, type Denial } from './server.ts';
import { watchSession } from './sessionwatch.ts';
import { closeLinks, openLinks, type ShardLink } from './shardlink.ts';
import { createStudents, type Students } from './students.ts';
import { createTokenCheck } from './token.ts';
import { createVitals } from './vitals.ts';

/** A gateway that takes students. */
export interface Gateway {
  readonly port: number;
  readonly opsPort: number;
  /** Ends it without loss; true when everything accepted is durable. Bounded by `drainSeconds` and some seconds. */
  drain(): Promise<boolean>;
}

/** Connections that the system accepted and this process has yet to look at: an exam's start comes all at once. */
const backlog = 4_096;

const tickMs = 1_000;

/** For the last audit records, which are no evidence, at the end of a drain. */
const auditPatienceMs = 500;

/** For the last answers to leave. */
const lastAnswersMs = 300;

/** Connects to the shards, in the background, and listens: students may come before every shard is there. */
export async function startGateway(config: GatewayConfig, log: Logger): Promise<Gateway> {
  const parts = assemble(config, log);
  const { admission, auditor, lag, links, lobby, metrics, students, vitals, watch } = parts;
  const server = createServer(serverParts(config, parts));
  const ops = createOpsServer({
    ready: vitals.ready,
    health: vitals.health,
    metrics: metrics.text,
    metricsType: metrics.contentType,
  });
  const opsPort = await listen(ops, { ...config.ops, exclusive: true });
  const port = await listen(server, { ...config.listen, backlog });
  const timer = setInterval(() => {
    const now = Date.now();
    lag.tick();
    lobby.tick(now);
    students.sweep(now);
    void auditor.flush();
  }, tickMs);

  return {
    port,
    opsPort,
    async drain() {
      admission.shut();
      // The workers of a cluster share the port: those who stay take the newcomers. Alone, a 503 is the better answer.
      if (cluster.isWorker) server.close();
      const done = await drain({ lobby, links, drainMs: config.drainMs });
      clearInterval(timer);
      watch.stop();
      lag.stop();
      await Promise.race([auditor.flush(), sleep(auditPatienceMs)]);
      await closeLinks(links);
      await Promise.all([shut(server), shut(ops)]);
      return done;
    },
  };
}

/** Lets requests that have their answer go; what is left after a moment is cut. */
async function shut(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  await Promise.race([closed, sleep(lastAnswersMs)]);
  server.closeAllConnections();
}

async function listen(server: Server, options: ListenOptions): Promise<number> {
  server.listen(options);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

type Parts = ReturnType<typeof assemble>;

/** Makes everything that does not listen, and ties it together. */
function assemble(config: GatewayConfig, log: Logger) {
  const alarms = createAlarms(log);
  const auditor = createAuditor();
  const students: Students = createStudents(config.limits);
  const lag: LoopLag = measureLoopLag();
  const links = openLinks(config, log, (link, isPressed) => lobby.press(link, isPressed));
  const watch = watchSession(links, log);
  const hub: Hub = createHub({
    receipts: createReceipts(config.receiptKey, config.session.uid),
    alarms,
    log,
    greet: watch.greet,
    audit: ({ link, student, connection }, what, fields = {}) =>
      auditor.note(link, {
        at: Date.now(),
        what,
        who: student.id,
        detail: `connection=${connection.id}${Object.entries(fields)
          .map(([name, value]) => ` ${name}=${value}`)
          .join('')}`,
      }),
  });
  const lobby: Lobby = createLobby({
    hub,
    students,
    closed(connection, code, lastedMs) {
      metrics.closed(code, lastedMs / 1_000);
      log.debug({ connection: connection.id, code, lastedMs }, 'a connection ended');
    },
  });
  const admission: Admission = createAdmission({
    capacity: config.capacity,
    limits: config.limits,
    connections: lobby.connections,
    loopLagMs: lag.p99,
  });
  const vitals = createVitals({ config, links, lobby, hub, students, admission, alarms, auditor, lag });
  const metrics: Metrics = createMetrics(vitals.sources);
  return { admission, auditor, lag, links, lobby, metrics, students, vitals, watch };
}

function serverParts(config: GatewayConfig, { admission, links, lobby, metrics, students }: Parts) {
  const linkOf = (student: string) => links[shardOf(student, links.length)]!;
  const ingest = createIngest();
  return {
    capacity: config.capacity,
    origins: config.origins,
    admission,
    checkToken: createTokenCheck(config.tokens),
    negotiator: createNegotiator(config.connectionTokenKey, config.session.uid),
    judgeStudent: (student: string) => judgeStudent(linkOf(student), students, student),
    denied: metrics.denied,
    welcome: (...[ws, socket, bearer]: Parameters<Parameters<typeof createServer>[0]['welcome']>) =>
      lobby.welcome(ws, socket, bearer, linkOf(bearer.student)),
    ingest: (...[request, response, { student }]: Parameters<Parameters<typeof createServer>[0]['ingest']>) =>
      ingest(request, response, students.of(student), linkOf(student)),
  };
}

function judgeStudent(link: ShardLink, students: Students, student: string): Denial | null {
  if (link.isPressed)
    return {
      status: 503,
      code: 'pressure',
      message: 'Not now: try again.',
      retryAfterSeconds: turned('').retryAfterSeconds,
    };
  if (students.mayConnect(students.of(student))) return null;
  return { status: 429, code: 'rate', message: 'Too many connections at once: try again.', retryAfterSeconds: 2 };
}
