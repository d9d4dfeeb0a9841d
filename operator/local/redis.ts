import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, rename, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { aclFile, passwordHash } from '#queue/acl.ts';
import type { Endpoint } from '#queue/client.ts';
import { redisConfigLines } from '#queue/redisconfig.ts';
import type { DesiredShards } from '../plan.ts';
import type { ShardObserved } from '../platform.ts';
import { type DataFolder, makePrivateDir, writeAtomic } from './datafolder.ts';
import type { IdentityFile, LocalShard } from './identityfile.ts';
import type { SessionKeys } from './keys.ts';
import type { ChildrenFile } from './orphans.ts';
import { freePort, isPortFree } from './ports.ts';
import { type Supervised, supervise } from './supervise.ts';

/** The redis-servers of one session, one a shard, on this machine only. */
export interface LocalShards {
  apply(desired: DesiredShards): Promise<void>;
  observe(): Promise<ShardObserved[]>;
  readonly pids: number[];
  stop(): Promise<void>;
}

export interface LocalShardsOptions {
  readonly folder: DataFolder;
  readonly identity: IdentityFile;
  readonly keys: SessionKeys;
  /** Path of redis-server or valkey-server. */
  readonly binary: string;
  readonly children: ChildrenFile;
  readonly changed: () => void;
}

const host = '127.0.0.1';
/** Under `always` nothing that was acknowledged waits to be written: a server that is slow to end can be killed. */
const stopGraceMs = 5_000;

export function createLocalShards(options: LocalShardsOptions): LocalShards {
  const { folder, identity, keys, children, changed } = options;
  const running = new Map<number, Supervised>();
  let stopping: Promise<void> | null = null;

  async function apply(desired: DesiredShards): Promise<void> {
    if (!desired.running) {
      if (running.size > 0 && stopping === null) void stop().then(changed);
      return;
    }
    if (desired.count > 0 && identity.value.shards.length === 0) await makeShards(desired);
    for (const shard of desired.refill) await makeAnew(shard);
    for (const { shard, maxmemoryBytes } of identity.value.shards) {
      const server = running.get(shard);
      if (server === undefined) running.set(shard, superviseShard(shard));
      if (maxmemoryBytes < desired.maxmemoryBytes) await growShard(shard, desired.maxmemoryBytes);
    }
  }

  /** Who the shards are is on disk before any of them starts. */
  async function makeShards({ count, maxmemoryBytes }: DesiredShards): Promise<void> {
    const shards: LocalShard[] = [];
    for (let shard = 0; shard < count; shard++) {
      const port = await freePortBut(shards.map((other) => other.port));
      shards.push({ shard, incarnation: randomUUID(), born: false, port, maxmemoryBytes });
    }
    await identity.update((now) => ({ ...now, shards }));
  }

  /**
   * Stops a shard, puts its folder aside (nothing is ever deleted), and makes it anew under another incarnation. Killed
   * in between, the next run finds the old incarnation, which still is to be given up, and does it again.
   */
  async function makeAnew(shard: number): Promise<void> {
    await running.get(shard)?.stop(stopGraceMs);
    running.delete(shard);
    const { dir } = folder.redis(shard);
    const aside = `${dir}.given-up-${identity.value.shards[shard]!.incarnation.slice(0, 8)}-${Date.now()}`;
    await rename(dir, aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await changeShard(shard, { incarnation: randomUUID(), born: false });
  }

  /** More memory needs a new start; nothing is lost by it, and gateways repeat what was on its way. */
  async function growShard(shard: number, maxmemoryBytes: number): Promise<void> {
    await changeShard(shard, { maxmemoryBytes });
    await running.get(shard)?.restart(stopGraceMs);
  }

  function changeShard(shard: number, change: Partial<LocalShard>): Promise<void> {
    return identity.update((now) => ({
      ...now,
      shards: now.shards.map((known) => (known.shard === shard ? { ...known, ...change } : known)),
    }));
  }

  function superviseShard(shard: number): Supervised {
    const paths = folder.redis(shard);
    return supervise({
      what: `redis ${shard}`,
      logFile: paths.log,
      children,
      changed,
      start: async () => {
        await prepare(shard);
        // A group of its own: Ctrl-C in a terminal goes to the whole group, and gateways are to be drained first.
        return spawn(options.binary, [paths.config], { stdio: 'ignore', detached: true, cwd: paths.dir });
      },
    });
  }

  async function prepare(shard: number): Promise<void> {
    const paths = folder.redis(shard);
    await makePrivateDir(paths.dir);
    const { port } = identity.value.shards[shard]!;
    if (!(await isPortFree(host, port))) {
      const others = identity.value.shards.map((other) => other.port);
      await changeShard(shard, { port: await freePortBut(others) });
    }
    const hashes = {
      gateway: passwordHash(keys.redisPasswords.gateway),
      exporter: passwordHash(keys.redisPasswords.exporter),
      operator: passwordHash(keys.redisPasswords.operator),
    };
    await writeAtomic(paths.acl, aclFile(hashes));
    await writeAtomic(paths.config, `${configLines(identity.value.shards[shard]!).join('\n')}\n`);
  }

  function configLines({ shard, port, maxmemoryBytes }: LocalShard): string[] {
    const { dir, acl, log } = folder.redis(shard);
    return [
      ...redisConfigLines({ dir, port, bind: host, aclFile: acl, maxmemoryBytes, logFile: log }),
      '# The command line keeps the path of this file: so a later run finds what a killed one left behind.',
      'set-proc-title no',
    ];
  }

  function stop(): Promise<void> {
    stopping ??= Promise.all([...running.values()].map((server) => server.stop(stopGraceMs))).then(() => {
      running.clear();
      stopping = null;
    });
    return stopping;
  }

  async function observe(): Promise<ShardObserved[]> {
    const { shards } = identity.value;
    const available = await availableBytes(folder.root);
    return Promise.all(
      shards.map(async ({ shard, port, maxmemoryBytes }): Promise<ShardObserved> => {
        const server = running.get(shard);
        const usedBytes = await sizeOf(folder.redis(shard).appendOnlyDir);
        return {
          shard,
          running: server !== undefined,
          endpoint: server === undefined ? null : endpointOf(port),
          maxmemoryBytes,
          // The shards share a disk: each may count on its part of what is left.
          storage: { usedBytes, capacityBytes: usedBytes + Math.floor(available / shards.length) },
          fault: server?.fault ?? null,
        };
      }),
    );
  }

  function endpointOf(port: number): Endpoint {
    return { host, port, username: 'operator', password: keys.redisPasswords.operator };
  }

  return {
    apply,
    observe,
    get pids() {
      return [...running.values()].flatMap(({ pid }) => (pid === null ? [] : [pid]));
    },
    stop,
  };
}

async function freePortBut(taken: readonly number[]): Promise<number> {
  for (;;) {
    const port = await freePort(host);
    if (!taken.includes(port)) return port;
  }
}

/** Bytes that this user may still write, as df tells them. */
async function availableBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

async function sizeOf(dir: string): Promise<number> {
  const names = await readdir(dir).catch(() => []);
  const sizes = names.map(async (name) => (await stat(join(dir, name)).catch(() => null))?.size ?? 0);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
