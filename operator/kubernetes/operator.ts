import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { KubeConfig } from '@kubernetes/client-node';
import { type Logger, pino } from 'pino';
import { startAdminServer } from '../admin/server.ts';
import { faultOf } from '../fault.ts';
import { version } from '../version.ts';
import { createCaches } from './caches.ts';
import { type ClusterSettings, kubernetesSettings } from './clustersettings.ts';
import type { OperatorConfig } from './config.ts';
import { createController } from './controller.ts';
import { ownAccount } from './ownaccount.ts';
import { createApi } from './runtime/api.ts';
import { createElection, type Election } from './runtime/election.ts';
import { createEventRecorder } from './runtime/events.ts';
import { createOperatorMetrics } from './runtime/metrics.ts';
import { startOpsServer } from './runtime/ops.ts';

export interface Operator {
  /** Ends the work, gives the Lease back, closes everything. */
  stop(why: string): Promise<void>;
}

export interface OperatorEnds {
  /** It led, and does not any more: whatever it still does is refused. */
  readonly onLost: () => void;
  /** It cannot even begin. The log says why. */
  readonly onFatal: () => void;
}

/** Following the cluster may fail so long before a standby says that it could not lead. */
const notReadyMs = 60_000;

/** Assembles the operator of a cluster and lets it run for the Lease. */
export async function startOperator(config: OperatorConfig, ends: OperatorEnds): Promise<Operator> {
  const candidate = `${process.env.POD_NAME ?? hostname()}_${randomBytes(4).toString('hex')}`;
  const log = createLog(config.logLevel, candidate);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const userAgent = `untradex-operator/${version}`;
  const onWarning = (warning: string) => log.warn({ warning }, 'the API server warns');
  const problems = (what: string) => (error: unknown) => logProblem(log, what, error);

  let election: Election | null = null;
  const rate = { perSecond: config.requestsPerSecond, burst: 2 * config.requestsPerSecond };
  const api = createApi(kubeConfig, {
    ...{ userAgent, rate, onWarning },
    fence: () => election!.fence(),
    onRequest: (request) => metrics.apiRequest(request),
  });
  const times = leaseTimes(config.leaderElection.leaseSeconds);
  const leaseApi = createApi(kubeConfig, { userAgent, timeoutMs: Math.floor(times.renewMs / 2) });
  const adminApi = createApi(kubeConfig, { userAgent, onWarning });

  const caches = createCaches({
    ...{ api, namespaces: config.watchNamespaces },
    onChange: (key) => controller.enqueue(key),
    onError: (error, kind, what) => logProblem(log, `following ${kind} failed (${what})`, error),
    metrics: { watchRestarted: (kind, reason) => metrics.watchRestarted(kind, reason) },
  });
  const events = createEventRecorder({
    ...{ api, component: 'untradex.io/operator', instance: candidate },
    onError: problems('an event is lost'),
  });
  const metrics = createOperatorMetrics({
    queue: () => controller.queue,
    isLeader: () => election?.isLeader ?? false,
    phases: () => controller.phases(),
    stuck: () => controller.stuck(),
    caches: () => caches.sizes(),
  });
  const controller = createController({
    ...{ api, caches, events, log, workers: config.workers, measured: metrics.measured },
    settings: { ...kubernetesSettings, verifiedLingerSeconds: config.verifiedLingerSeconds },
    clusterSettings: settingsOf(config),
  });
  election = createElection({
    ...{ api: leaseApi, namespace: config.operator.namespace, name: config.leaderElection.name },
    owner: await ownAccount(),
    ...{ identity: candidate, ...times, onError: problems('the Lease could not be looked at') },
    onStarted() {
      log.info('leads');
      controller.start();
    },
    async onStopped(reason) {
      log.warn({ reason }, 'leads no more');
      if (reason === 'lost') ends.onLost();
      await controller.stop();
    },
  });

  function ready() {
    if (!caches.isSynced) return { ok: false, reason: 'the sessions are being read' };
    if (caches.failingMs > notReadyMs) return { ok: false, reason: 'following the cluster fails' };
    return { ok: true };
  }

  const ops = await startOpsServer({ port: config.ops.port, live: () => ({ ok: true }), ready, metrics });
  const admin = await openAdmin(config, adminApi, log);
  log.info({ version, opsPort: ops.port, adminPort: admin?.port, lease: config.leaderElection.name }, 'started');
  caches.start();
  // A leader that knows nothing yet would take every session for one without pods.
  void caches.synced.then(() => election.start(), ends.onFatal);

  return {
    async stop(why) {
      log.info({ why }, 'ending');
      await events.stop();
      await election.stop();
      await Promise.all([caches.stop(), ops.close(), admin?.close()]);
      for (const one of [api, leaseApi, adminApi]) one.close();
    },
  };
}

function openAdmin(config: OperatorConfig, api: ReturnType<typeof createApi>, log: Logger) {
  const { enabled, port, tls } = config.admin;
  const { certFile, keyFile } = tls;
  if (!enabled || certFile === null || keyFile === null) return null;
  return startAdminServer({ api, port, tls: { certFile, keyFile }, namespaces: config.watchNamespaces, log });
}

/** What the sessions get of the configuration. */
export function settingsOf(config: OperatorConfig): ClusterSettings {
  const { images, clusterDomain, operator, storageClass, networkPolicies, monitoringNamespaces } = config;
  return { images, clusterDomain, operator, storageClass, networkPolicies, monitoringNamespaces, version };
}

/** A leader trusts its Lease for two thirds of what others wait; it renews often enough for some tries to fail. */
function leaseTimes(seconds: number) {
  const leaseMs = seconds * 1_000;
  return { leaseMs, renewMs: Math.floor((leaseMs * 2) / 3), retryMs: Math.min(2_000, Math.floor(leaseMs / 6)) };
}

/** JSON lines on stdout. Nobody gives it a secret; the redaction is the second lock. */
function createLog(level: string, candidate: string): Logger {
  const names = ['password', 'token', 'authorization', 'headers', 'data', 'stringData'];
  return pino({
    level,
    base: { pid: process.pid, program: 'operator', candidate },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: names.flatMap((one) => [one, `*.${one}`]), remove: true },
  });
}

/** Not the error itself: errors of clients carry what they sent. */
function logProblem(log: Logger, what: string, error: unknown): void {
  log.warn(faultOf(error), what);
}
