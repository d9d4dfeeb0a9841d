import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { findRedis } from '#setup/findredis.cjs';
import { bundle } from '../bundle.ts';
import { type ImageConfig, writeArchive } from './archive.ts';
import { createRootfs, type Rootfs } from './rootfs.ts';

const root = dirname(dirname(import.meta.dirname));

/** The user that the Dockerfile makes as well; the operator runs every container as it. */
const user = 65532;

export interface Packed {
  readonly tag: string;
  readonly file: string;
}

/** Node, the bundles, and the one package with native code. */
export async function packUntradex(tag: string, version: string, folder: string): Promise<Packed> {
  const packages = ['node-api', 'node-bindings', 'node-bindings-linux-x64'].map((name) => `@duckdb/${name}`);
  return pack(tag, folder, { PATH: '/usr/local/bin', NODE_ENV: 'production' }, version, '/app', async (rootfs) => {
    await bundle(join(rootfs.root, 'app/dist'));
    rootfs.program(process.execPath, '/usr/local/bin/node');
    rootfs.copy(join(root, 'package.json'), '/app/package.json');
    for (const name of [...packages, 'detect-libc']) {
      rootfs.copy(join(root, 'node_modules', name), `/app/node_modules/${name}`);
    }
    const duckdb = join(root, 'node_modules/@duckdb/node-bindings-linux-x64');
    rootfs.libraries(join(duckdb, 'duckdb.node'), [duckdb]);
    rmSync(join(rootfs.root, 'lib/x86_64-linux-gnu/libduckdb.so'), { force: true });
  });
}

/** The Redis of this machine, for clusters that reach no registry. @throws when there is no Redis */
export async function packRedis(tag: string, folder: string): Promise<Packed> {
  const { found } = await findRedis(process.env);
  if (found === null) throw new Error('there is no redis-server on this machine: `npm run setup` gets one');
  // The set-up's own is unpacked below `root/`, beside the script that starts it.
  const unpacked = join(dirname(dirname(found.path)), 'root');
  const isUnpacked = existsSync(unpacked);
  const programs = isUnpacked ? join(unpacked, 'usr/bin') : dirname(found.path);
  const libraries = isUnpacked ? [join(unpacked, 'usr/lib/x86_64-linux-gnu')] : [];
  return pack(tag, folder, { PATH: '/usr/local/bin' }, found.version, '/data', (rootfs) => {
    rootfs.program(join(programs, `${found.kind}-server`), '/usr/local/bin/redis-server', libraries);
    rootfs.program(join(programs, `${found.kind}-cli`), '/usr/local/bin/redis-cli', libraries);
    // Of util-linux, as every image that is made from Debian's has it.
    rootfs.program('/usr/bin/flock', '/usr/local/bin/flock');
  });
}

async function pack(
  tag: string,
  folder: string,
  env: ImageConfig['env'],
  version: string,
  workingDir: string,
  fill: (rootfs: Rootfs) => Promise<void> | void,
): Promise<Packed> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('an image is packed from the programs of this machine, which must be Linux on x64: use Docker');
  }
  const rootfs = mkdtempSync(join(tmpdir(), 'untradex-image-'));
  try {
    await fill(createRootfs(rootfs));
    mkdirSync(join(rootfs, workingDir), { recursive: true });
    mkdirSync(join(rootfs, 'tmp'));
    chmodSync(rootfs, 0o755);
    chmodSync(join(rootfs, 'tmp'), 0o1777);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${basename(tag).replace(':', '-')}.tar`);
    const labels = { 'org.opencontainers.image.version': version };
    await writeArchive(rootfs, { tag, user, env, workingDir, command: [], labels }, file);
    return { tag, file };
  } finally {
    rmSync(rootfs, { recursive: true, force: true });
  }
}
