import cluster, { type Worker } from 'node:cluster';
import type { DesiredGateways } from '../plan.ts';
import type { GatewayObserved } from '../platform.ts';
import { type DataFolder, makePrivateDir, readText, writeAtomic } from './datafolder.ts';
import type { GatewayConfig } from './gatewayconfig.ts';
import { openLog } from './logfile.ts';
import type { ChildrenFile } from './orphans.ts';
import { type Supervised, supervise } from './supervise.ts';

/**
 * The gateway processes of one session: workers of node:cluster, with this process as their primary. They share one
 * port, and end with us, however we end.
 *
 * A worker lives with the configuration that it was started with. When another one is wanted, workers with it are
 * started first, and the old ones are drained when those are ready, so that students always find one.
 */
export interface LocalGateways {
  apply(desired: DesiredGateways, config: GatewayConfig): Promise<void>;
  observe(): GatewayObserved[];
  /** Workers that serve students now, each with the port of its health. */
  readonly ready: readonly { readonly pid: number; readonly opsPort: number }[];
  /** Kills one that lives and does not answer; it is started again. */
  kill(pid: number): void;
  stop(): Promise<void>;
}

export interface LocalGatewaysOptions {
  readonly folder: DataFolder;
  /** A Node program and its first arguments. */
  readonly program: readonly string[];
  readonly children: ChildrenFile;
  readonly changed: () => void;
}

interface Gateway {
  readonly id: string;
  readonly config: string;
  readonly mode: GatewayObserved['mode'];
  readonly process: Supervised;
  /** Set when it listens. */
  opsPort: number | null;
}

/** A drain takes what the configuration says; after that long more it is killed. */
const overDrainMs = 3_000;

export function createLocalGateways(options: LocalGatewaysOptions): LocalGateways {
  const { folder, program, children, changed } = options;
  const gateways = new Set<Gateway>();
  /** Those that drain; they leave `gateways` when they are gone. */
  const stopping = new Map<Gateway, Promise<void>>();
  let count = 0;
  let drainMs = overDrainMs;

  async function apply({ replicas, mode, hold }: DesiredGateways, config: GatewayConfig): Promise<void> {
    if (hold) return;
    if (replicas > 0) await writeConfig(config);
    drainMs = config.drainSeconds * 1_000 + overDrainMs;
    const text = textOf(config);
    const current = [...gateways].filter((gateway) => gateway.config === text);
    for (let missing = replicas - current.length; missing > 0; missing--) gateways.add(startGateway(text, mode));
    const tooMany = current.slice(replicas);
    const ready = current.filter((gateway) => gateway.opsPort !== null).length;
    const old = [...gateways].filter((gateway) => gateway.config !== text);
    for (const gateway of [...tooMany, ...(ready >= replicas ? old : [])]) void stopGateway(gateway);
  }

  async function writeConfig(config: GatewayConfig): Promise<void> {
    await makePrivateDir(folder.gateway.dir);
    const text = textOf(config);
    if ((await readText(folder.gateway.config)) !== text) await writeAtomic(folder.gateway.config, text);
  }

  function startGateway(config: string, mode: GatewayObserved['mode']): Gateway {
    count += 1;
    const id = `gateway ${count}`;
    const gateway: Gateway = {
      id,
      config,
      mode,
      opsPort: null,
      process: supervise({
        what: id,
        logFile: folder.gateway.log,
        children,
        changed,
        start: async () => (await fork(gateway)).process,
      }),
    };
    return gateway;
  }

  async function fork(gateway: Gateway): Promise<Worker> {
    const [exec, ...args] = program;
    const log = await openLog(folder.gateway.log);
    try {
      // Settings of the whole process, but only for the forks after it: set anew for each.
      cluster.setupPrimary({
        exec: exec!,
        args: [...args, '--config', folder.gateway.config],
        execArgv: [],
        serialization: 'json',
        // Not through us: a busy primary must not hold up a gateway that writes its log.
        stdio: ['ignore', log.fd, log.fd, 'ipc'],
      });
      const worker = cluster.fork();
      // A send to a worker that just died fails; its exit is what counts.
      worker.on('error', () => {});
      worker.on('message', (message: { kind?: string; opsPort?: number }) => {
        if (message.kind !== 'listening' || message.opsPort === undefined) return;
        gateway.opsPort = message.opsPort;
        changed();
      });
      worker.process.once('exit', () => {
        gateway.opsPort = null;
      });
      return worker;
    } finally {
      await log.close();
    }
  }

  function stopGateway(gateway: Gateway): Promise<void> {
    const known = stopping.get(gateway);
    if (known !== undefined) return known;
    const stopped = gateway.process.stop(drainMs).then(() => {
      gateways.delete(gateway);
      stopping.delete(gateway);
      changed();
    });
    stopping.set(gateway, stopped);
    return stopped;
  }

  const isServing = (gateway: Gateway) =>
    gateway.opsPort !== null && gateway.process.pid !== null && !stopping.has(gateway);

  return {
    apply,
    observe: () =>
      [...gateways].map((gateway) => ({
        id: gateway.id,
        mode: gateway.mode,
        ready: isServing(gateway),
        fault: gateway.process.fault,
      })),
    get ready() {
      return [...gateways]
        .filter(isServing)
        .map((gateway) => ({ pid: gateway.process.pid!, opsPort: gateway.opsPort! }));
    },
    kill(pid) {
      const hung = [...gateways].find((gateway) => gateway.process.pid === pid);
      if (hung !== undefined) process.kill(pid, 'SIGKILL');
    },
    async stop() {
      await Promise.all([...gateways].map(stopGateway));
    },
  };
}

function textOf(config: GatewayConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}
