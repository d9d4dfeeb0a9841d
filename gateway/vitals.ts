import { type AckSummary, summarizeAcks } from './acktimes.ts';
import type { Admission } from './admission.ts';
import type { Alarm, Alarms } from './alarms.ts';
import type { Auditor } from './auditor.ts';
import type { GatewayConfig } from './config.ts';
import type { Hub } from './hub.ts';
import type { Lobby } from './lobby.ts';
import type { LoopLag } from './looplag.ts';
import type { MetricSources } from './metrics.ts';
import type { ShardLink } from './shardlink.ts';
import type { Students } from './students.ts';

/** What `/health` answers. Counts are since the start of the process, times in ms. */
export interface Health {
  readonly pid: number;
  readonly mode: GatewayConfig['mode'];
  readonly draining: boolean;
  readonly connections: number;
  readonly students: number;
  readonly accepted: number;
  readonly durable: number;
  readonly pendingEvents: number;
  readonly pendingBytes: number;
  readonly finished: number;
  readonly ackMs: AckSummary;
  readonly shards: readonly {
    readonly shard: number;
    readonly phase: string;
    readonly pressed: boolean;
    readonly problem?: { readonly code: string; readonly message: string; readonly remedy: string };
  }[];
  readonly eventLoopMs: { readonly p99: number };
  readonly alarms: { readonly count: number; readonly recent: readonly Alarm[] };
}

export interface Vitals {
  health(): Health;
  ready(): { readonly ready: boolean; readonly reason?: string };
  readonly sources: MetricSources;
}

/** Answers how this process is. Everything is read at the moment of asking. */
export function createVitals(parts: {
  readonly config: GatewayConfig;
  readonly links: readonly ShardLink[];
  readonly lobby: Lobby;
  readonly hub: Hub;
  readonly students: Students;
  readonly admission: Admission;
  readonly alarms: Alarms;
  readonly auditor: Auditor;
  readonly lag: LoopLag;
}): Vitals {
  const { config, links, lobby, hub, students, admission, alarms, auditor, lag } = parts;
  const stats = () => links.flatMap((link) => link.writer?.stats() ?? []);
  const sum = (read: (one: ReturnType<typeof stats>[number]) => number) =>
    stats().reduce((all, one) => all + read(one), 0);
  const sources: MetricSources = {
    connections: lobby.connections,
    students: students.connected,
    accepted: () => links.reduce((all, link) => all + link.accepted, 0),
    durable: () => sum((one) => one.durableEvents),
    pendingEvents: () => sum((one) => one.pendingEvents),
    pendingBytes: () => sum((one) => one.pendingBytes),
    appends: () => sum((one) => one.appends),
    retries: () => sum((one) => one.retries),
    finished: hub.finished,
    alarms: alarms.count,
    auditDropped: auditor.dropped,
    loopLagMs: lag.p99,
    ackMs: () => summarizeAcks(stats().map((one) => one.ackMs)),
    shards: () => links.map(({ index, shard }) => ({ shard: index, ready: shard.state.phase === 'ready' })),
  };

  return {
    sources,
    health: () => ({
      pid: process.pid,
      mode: config.mode,
      draining: admission.isShut,
      connections: sources.connections(),
      students: sources.students(),
      accepted: sources.accepted(),
      durable: sources.durable(),
      pendingEvents: sources.pendingEvents(),
      pendingBytes: sources.pendingBytes(),
      finished: sources.finished(),
      ackMs: sources.ackMs(),
      shards: links.map(describeShard),
      eventLoopMs: { p99: lag.p99() },
      alarms: { count: alarms.count(), recent: alarms.recent() },
    }),
    ready() {
      if (admission.isShut) return { ready: false, reason: 'draining' };
      if (!links.some(({ shard }) => shard.state.phase === 'ready'))
        return { ready: false, reason: 'no shard is ready' };
      if (lag.p99() > config.limits.eventLoopDelayMs) return { ready: false, reason: 'the event loop is late' };
      if (lobby.connections() >= config.capacity) return { ready: false, reason: 'full' };
      return { ready: true };
    },
  };
}

function describeShard({ index, shard, isPressed }: ShardLink): Health['shards'][number] {
  const { phase, problem } = shard.state;
  return {
    shard: index,
    phase,
    pressed: isPressed,
    ...(problem ? { problem: { code: problem.code, message: problem.message, remedy: problem.remedy } } : {}),
  };
}
