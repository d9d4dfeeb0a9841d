import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { LoopOptions } from '#operator/loop.ts';
import { isProblem } from '#queue/problem.ts';

/** Read when somebody asks for the metrics. */
export interface MetricSources {
  /** Keys that wait for a pass, and passes that run. */
  queue(): { readonly depth: number; readonly running: number };
  isLeader(): boolean;
  /** How many objects there are in each phase. */
  phases(): Readonly<Record<string, number>>;
  /** Objects that have not got where they should be for too long. */
  stuck(): number;
  /** By kind: how many objects are cached, and for how long following them has failed. */
  caches(): readonly { readonly kind: string; readonly size: number; readonly failingMs: number }[];
}

export interface OperatorMetrics {
  readonly contentType: string;
  /** For metrics of others on the same page. */
  readonly registry: Registry;
  /** The text that Prometheus reads. */
  text(): Promise<string>;
  /** The same pass, measured: how long it took, and how it ended. */
  measured(pass: LoopOptions['pass']): LoopOptions['pass'];
  /** As `onRequest` of an Api. */
  apiRequest(request: { readonly verb: string; readonly code: string; readonly ms: number }): void;
  /** As `metrics` of an informer. */
  watchRestarted(kind: string, reason: string): void;
}

/** Seconds. */
const passBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const requestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15];

/** What an operator tells about itself. `noun`: of the objects that it looks after (`sessions`). */
export function createOperatorMetrics(sources: MetricSources, noun = 'sessions', prefix = 'untradex_operator_') {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  addGauges(registry, sources, noun, prefix);

  const passes = new Counter({
    ...{ name: `${prefix}reconciles_total`, help: 'Passes, by how they ended: done, requeued or failed.' },
    ...{ labelNames: ['result'], registers },
  });
  const passSeconds = new Histogram({
    ...{ name: `${prefix}reconcile_seconds`, help: 'How long passes took.', buckets: passBuckets, registers },
  });
  const errors = new Counter({
    ...{ name: `${prefix}reconcile_errors_total`, help: 'Passes that failed, by the code of the error.' },
    ...{ labelNames: ['code'], registers },
  });
  const requests = new Histogram({
    ...{ name: `${prefix}api_request_seconds`, help: 'Requests to the Kubernetes API until the reply began.' },
    ...{ labelNames: ['verb', 'code'], buckets: requestBuckets, registers },
  });
  const restarts = new Counter({
    ...{ name: `${prefix}watch_restarts_total`, help: 'Watches that ended, by why: ended is in good order.' },
    ...{ labelNames: ['kind', 'reason'], registers },
  });

  function measured(pass: LoopOptions['pass']): LoopOptions['pass'] {
    return async (key) => {
      const end = passSeconds.startTimer();
      try {
        const result = await pass(key);
        passes.inc({ result: result.requeueAfterMs === null ? 'done' : 'requeued' });
        return result;
      } catch (error) {
        passes.inc({ result: 'failed' });
        errors.inc({ code: isProblem(error) ? error.code : 'unexpected' });
        throw error;
      } finally {
        end();
      }
    };
  }

  return {
    ...{ contentType: registry.contentType, registry, measured },
    text: () => registry.metrics(),
    apiRequest: ({ verb, code, ms }) => requests.observe({ verb, code }, ms / 1_000),
    watchRestarted: (kind, reason) => restarts.inc({ kind, reason }),
  } satisfies OperatorMetrics;
}

function addGauges(registry: Registry, sources: MetricSources, noun: string, prefix: string): void {
  const gauge = (name: string, help: string, labelNames: string[], read: (gauge: Gauge) => void) =>
    new Gauge({
      ...{ name: `${prefix}${name}`, help, labelNames, registers: [registry] },
      collect() {
        this.reset();
        read(this);
      },
    });
  gauge('leader', 'Whether this process leads.', [], (it) => it.set(sources.isLeader() ? 1 : 0));
  gauge('queue_depth', 'Keys that wait for a pass.', [], (it) => it.set(sources.queue().depth));
  gauge('reconciles_running', 'Passes that run.', [], (it) => it.set(sources.queue().running));
  gauge(noun, `All ${noun}, by phase.`, ['phase'], (it) => {
    for (const [phase, count] of Object.entries(sources.phases())) it.set({ phase }, count);
  });
  gauge(`stuck_${noun}`, `Stuck ${noun}: each one needs a person.`, [], (it) => it.set(sources.stuck()));
  gauge('cached_objects', 'Objects in the cache.', ['kind'], (it) => {
    for (const { kind, size } of sources.caches()) it.inc({ kind }, size);
  });
  gauge('cache_failing_seconds', 'How long following a kind has failed; 0: it works.', ['kind'], (it) => {
    const worst = new Map<string, number>();
    for (const { kind, failingMs } of sources.caches())
      worst.set(kind, Math.max(worst.get(kind) ?? 0, failingMs / 1_000));
    for (const [kind, seconds] of worst) it.set({ kind }, seconds);
  });
}
