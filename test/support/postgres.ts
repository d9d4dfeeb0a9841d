import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { findPostgres, variable } from '#setup/findpostgres.cjs';
import { onScopeEnd } from './cleanup.ts';
import { freePort } from './freeport.ts';
import { tmpFolder } from './tmp.ts';
import { until } from './until.ts';

export interface StartPostgresOptions {
  /** For initdb: `['--encoding=LATIN1']`. */
  readonly initArgs?: readonly string[];
  /** For the server: `['-c', 'ssl=on']`. */
  readonly extraArgs?: readonly string[];
}

/** A real PostgreSQL server on a port of 127.0.0.1. It is killed at the end of the test. */
export interface TestPostgres {
  readonly host: '127.0.0.1';
  /** Stays the same over restarts. */
  readonly port: number;
  readonly dir: string;
  /** Of the server program, which starts one process a connection. */
  readonly pid: number;
  readonly version: string;
  /** The superuser, and its password. */
  readonly admin: { readonly user: string; readonly password: string };
  /** Everything that it said, over all restarts. */
  readonly log: string;
  /** Runs statements as the superuser; rows of the last one. int8 and the like come back as text. */
  sql(statements: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Ends it at once, as a crash does: the next start recovers. */
  crash(): Promise<void>;
  /** Starts it, after a crash when it still runs. Resolves when it answers. */
  restart(): Promise<void>;
}

const admin = { user: 'admin', password: 'of the test’s administrator' };
const startTimeoutMs = 60_000;
const portTries = 5;

/** PostgreSQL refuses to run as root; then it runs as `nobody`, whose number is the same everywhere. */
const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

/** Makes a cluster and starts it. */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<TestPostgres> {
  const { found, rejected } = await findPostgres(process.env);
  if (!found) {
    throw new Error(`no PostgreSQL server (${rejected.join('; ')}): run \`npm run setup\`, or set ${variable}`);
  }
  const folder = tmpFolder('postgres');
  const dir = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${admin.password}\n`);
  for (const path of [folder, passwordFile]) if (asNobody.uid) chownSync(path, asNobody.uid, asNobody.gid);
  const { initArgs = ['--encoding=UTF8'] } = options;
  const init = ['-D', dir, '--no-sync', '--locale=C', '--auth=scram-sha-256', '-U', admin.user];
  // As somebody who may not look into our working folder.
  const place = { ...asNobody, cwd: folder };
  await promisify(execFile)(join(found.bin, 'initdb'), [...init, `--pwfile=${passwordFile}`, ...initArgs], place);
  rmSync(passwordFile);
  for (let tries = portTries; ; tries--) {
    const server = controlPostgres(found, dir, await freePort(), options.extraArgs ?? []);
    try {
      await server.restart();
      return server;
    } catch (error) {
      if (!server.log.includes('Address already in use') || tries === 0) throw error;
    }
  }
}

function controlPostgres(
  { bin, version }: { bin: string; version: string },
  dir: string,
  port: number,
  extraArgs: readonly string[],
): TestPostgres {
  const settings = {
    ...{ port, listen_addresses: '127.0.0.1', unix_socket_directories: '', shared_buffers: '16MB', jit: 'off' },
    ...{ max_connections: 50, wal_level: 'minimal', max_wal_senders: 0, timezone: 'GMT', log_timezone: 'GMT' },
  };
  const args = ['-D', dir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  let child: ChildProcess | null = null;
  let log = '';
  const crash = async () => {
    if (child === null) return;
    const gone = once(child, 'close');
    // The server passes it on: with SIGKILL its processes would outlive it for a while.
    child.kill('SIGQUIT');
    await gone;
  };
  const start = async () => {
    const started = spawn(join(bin, 'postgres'), [...args, ...extraArgs], {
      ...asNobody,
      cwd: dir,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    const from = log.length;
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    started.once('error', (error) => {
      log += error.message;
    });
    started.once('close', () => {
      if (child === started) child = null;
    });
    const ready = () => child !== started || log.includes('ready to accept connections', from);
    await until(ready, { what: `PostgreSQL on port ${port} to be ready`, timeoutMs: startTimeoutMs });
    if (child !== started) throw new Error(`PostgreSQL ended at its start:\n${log.slice(from)}`);
  };
  onScopeEnd(crash);
  return {
    ...{ host: '127.0.0.1', port, dir, version, admin },
    get pid() {
      if (child?.pid === undefined) throw new Error('this PostgreSQL does not run');
      return child.pid;
    },
    get log() {
      return log;
    },
    sql: (statements, database = 'postgres') =>
      postgresSql({ host: '127.0.0.1', port, database, ...admin }, statements),
    crash,
    restart: async () => {
      await crash();
      await start();
    },
  };
}

/** Runs statements over a connection of their own; rows of the last one. Times are in UTC. */
export async function postgresSql(config: pg.ClientConfig, statements: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ ...config, ssl: config.ssl ?? false });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(`SET TimeZone = 'GMT'`);
    const results = [await client.query(statements)].flat();
    return (results.at(-1)?.rows ?? []) as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}
