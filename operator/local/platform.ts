import type { Desired } from '../plan.ts';
import type { Observed, Platform } from '../platform.ts';
import type { Condition, SessionStatus } from '../status.ts';
import type { DataFolder } from './datafolder.ts';
import { type LocalExporter, openLocalExporter } from './exporter.ts';
import { exporterConfig } from './exporterconfig.ts';
import { gatewayConfig } from './gatewayconfig.ts';
import { createLocalGateways } from './gateways.ts';
import type { IdentityFile } from './identityfile.ts';
import { ensureKeys } from './keys.ts';
import { boundLog } from './logfile.ts';
import type { ChildrenFile } from './orphans.ts';
import { createLocalShards } from './redis.ts';
import { startSamples } from './samples.ts';
import { watchSession } from './sessionfile.ts';
import { type LocalStatus, openStatusFile } from './statusfile.ts';

export interface LocalPlatformOptions {
  readonly folder: DataFolder;
  readonly identity: IdentityFile;
  readonly children: ChildrenFile;
  /** Where gateways listen; the port stands in the identity. */
  readonly host: string;
  readonly redisBinary: string;
  /** Node programs, each with its first arguments. */
  readonly programs: { readonly gateway: readonly string[]; readonly exporter: readonly string[] };
  readonly onStatus: (status: LocalStatus) => void;
}

export interface LocalPlatform extends Platform {
  /** Gateways that serve students, and every Redis. */
  pids(): LocalStatus['pids'];
  /** The status once more, with nothing running any more. After {@link Platform.remove}. */
  writeLastStatus(): Promise<void>;
}

/**
 * The platform on one machine: a folder, redis-servers, gateway workers and the exporter's programs as children of
 * this process. The caller holds the folder's lock and has ended orphans.
 */
export async function openLocalPlatform(options: LocalPlatformOptions): Promise<LocalPlatform> {
  const { folder, identity, children, host, programs } = options;
  const watchers = new Set<() => void>();
  const changed = () => {
    for (const watcher of watchers) watcher();
  };
  const keys = await ensureKeys(folder);
  const status = await openStatusFile(folder, identity.value.uid);
  const shards = createLocalShards({ folder, identity, keys, binary: options.redisBinary, children, changed });
  const gateways = createLocalGateways({ folder, program: programs.gateway, children, changed });
  const exporter: LocalExporter = await openLocalExporter({
    folder,
    program: programs.exporter,
    children,
    changed,
    configOf: (attempt) => exporterConfig(folder, identity.value, attempt, keys.receiptPublic),
  });
  const session = await watchSession(folder, identity, changed);
  const boundLogs = async () => {
    await boundLog(folder.gateway.log);
    await boundLog(folder.log);
    for (const { shard } of identity.value.shards) await boundLog(folder.redis(shard).log);
  };
  const samples = startSamples({ file: folder.samples, gateways, tidy: boundLogs });

  async function observe(): Promise<Observed> {
    const { uid, generation, session: wanted, gatewayPort } = identity.value;
    return {
      place: 'machine',
      session: wanted,
      generation,
      editFault: session.fault,
      paused: false,
      roster: session.roster,
      identity: {
        uid,
        shards: identity.value.shards.map(({ shard, incarnation, born }) => ({ shard, incarnation, born })),
      },
      status: status.status,
      shards: await shards.observe(),
      gateways: gateways.observe(),
      attempt: exporter.observe(),
      url: gateways.ready.length === 0 ? null : urlOf(host, gatewayPort),
      receiptPublicKey: keys.receiptPublic,
    };
  }

  async function apply(desired: Desired): Promise<void> {
    await gateways.apply(desired.gateways, gatewayConfig(folder, identity.value, desired.gateways, host));
    // Redis goes last: until then a gateway may still be answering.
    if (desired.shards.running || gateways.observe().length === 0) await shards.apply(desired.shards);
    await exporter.apply(desired.attempt);
  }

  const pids = () => ({ gateway: gateways.ready.map(({ pid }) => pid), redis: shards.pids });

  return {
    observe,
    apply,
    pids,
    async recordBorn(born) {
      await identity.update((now) => ({
        ...now,
        shards: now.shards.map((shard) => (born.includes(shard.shard) ? { ...shard, born: true } : shard)),
      }));
    },
    async writeStatus(next) {
      options.onStatus(await status.write(next, pids()));
    },
    sample: async () => samples.latest,
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    async remove() {
      session.close();
      await Promise.all([samples.stop(), exporter.stop(), gateways.stop()]);
      await shards.stop();
    },
    async writeLastStatus() {
      if (status.status !== null) options.onStatus(await status.write(stoppedStatus(status.status), pids()));
    },
  };
}

/** What is still true of a session when nothing of it runs. */
function stoppedStatus(last: SessionStatus): SessionStatus {
  const runs = ['QueueReady', 'GatewayReady', 'Ready'];
  const lastTransitionTime = new Date().toISOString();
  const conditions = last.conditions.map((condition): Condition => {
    if (condition.status !== 'True' || !runs.includes(condition.type)) return condition;
    const message = 'The run was ended. Start it again on the same folder: it goes on where it was.';
    return { ...condition, status: 'False', reason: 'Stopped', message, lastTransitionTime };
  });
  return { ...last, url: null, conditions, students: { ...last.students, connected: 0 } };
}

/** Where students connect. A gateway that listens everywhere is told by the name of this machine. */
function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${name}:${port}/exam`;
}
