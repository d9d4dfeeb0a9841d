import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { AckSummary } from './acktimes.ts';

/** Reads everything that is measured, when somebody asks. Nothing on the hot path knows about metrics. */
export interface MetricSources {
  connections(): number;
  students(): number;
  accepted(): number;
  durable(): number;
  pendingEvents(): number;
  pendingBytes(): number;
  appends(): number;
  retries(): number;
  finished(): number;
  alarms(): number;
  auditDropped(): number;
  loopLagMs(): number;
  ackMs(): AckSummary;
  /** Shards by number: whether each is ready. */
  shards(): readonly { readonly shard: number; readonly ready: boolean }[];
}

export interface Metrics {
  readonly contentType: string;
  /** The text that Prometheus reads. */
  text(): Promise<string>;
  /** A request was answered with a refusal. */
  denied(code: string): void;
  /** A connection ended, after so many seconds. */
  closed(code: number, seconds: number): void;
}

/** Names follow OpenTelemetry's conventions where there are any (signalr.server.*), in Prometheus's spelling. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  gauge('signalr_server_active_connections', 'Open connections.', sources.connections);
  gauge('untradex_gateway_students', 'Students with an open connection.', sources.students);
  gauge('untradex_gateway_pending_events', 'Events accepted and not yet durable.', sources.pendingEvents);
  gauge('untradex_gateway_pending_bytes', 'Bytes of events accepted and not yet durable.', sources.pendingBytes);
  gauge(
    'untradex_gateway_event_loop_lag_p99_seconds',
    'Event loop delay of the last second.',
    () => sources.loopLagMs() / 1e3,
  );
  counter('untradex_gateway_accepted_events_total', 'Events accepted.', sources.accepted);
  counter('untradex_gateway_durable_events_total', 'Events that became durable.', sources.durable);
  counter('untradex_gateway_appends_total', 'Batches appended.', sources.appends);
  counter('untradex_gateway_append_retries_total', 'Batches sent again.', sources.retries);
  counter('untradex_gateway_finished_total', 'Papers finished.', sources.finished);
  counter('untradex_gateway_alarms_total', 'Alarms: each one needs a person.', sources.alarms);
  counter('untradex_gateway_audit_dropped_total', 'Audit records that were dropped.', sources.auditDropped);

  new Gauge({
    name: 'untradex_gateway_ack_seconds',
    help: 'From the receipt of an event to its durability, since the start.',
    labelNames: ['quantile'],
    registers: [registry],
    collect() {
      const { p50, p99, max } = sources.ackMs();
      this.set({ quantile: '0.5' }, p50 / 1e3);
      this.set({ quantile: '0.99' }, p99 / 1e3);
      this.set({ quantile: '1' }, max / 1e3);
    },
  });
  new Gauge({
    name: 'untradex_gateway_shard_ready',
    help: 'Whether a shard is served from.',
    labelNames: ['shard'],
    registers: [registry],
    collect() {
      for (const { shard, ready } of sources.shards()) this.set({ shard: String(shard) }, ready ? 1 : 0);
    },
  });
  const denied = new Counter({
    name: 'untradex_gateway_denied_total',
    help: 'Requests refused before a connection was opened.',
    labelNames: ['code'],
    registers: [registry],
  });
  const closed = new Counter({
    name: 'signalr_server_connection_duration_seconds_sum',
    help: 'How long ended connections lasted, by close code.',
    labelNames: ['code'],
    registers: [registry],
  });
  const closedCount = new Counter({
    name: 'signalr_server_connection_duration_seconds_count',
    help: 'Ended connections, by close code.',
    labelNames: ['code'],
    registers: [registry],
  });

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }

  function counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    denied: (code) => denied.inc({ code }),
    closed(code, seconds) {
      // Clients may close with any code: few labels.
      const label = { code: knownCodes.has(code) ? String(code) : 'other' };
      closed.inc(label, seconds);
      closedCount.inc(label);
    },
  };
}

const knownCodes = new Set([1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1012, 1013]);
