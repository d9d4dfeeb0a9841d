import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import pg from 'pg';
import copy from 'pg-copy-streams';
import { problem } from '#queue/problem.ts';
import type { PostgresSettings, PostgresTls } from './config.ts';
import { stateOf } from './retry.ts';

/** One connection, and so one session of the server. Its methods are called one after the other. */
export interface Session {
  /** `server_version_num`: 150018 is 15.18. */
  readonly serverVersion: number;
  /** False once the connection is lost or was given up. */
  readonly usable: boolean;
  /** Rows as objects. Cast in SQL to text, int4, float8 or bool: nothing else is converted. */
  rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]>;
  /** How many rows a statement touched. */
  run(sql: string, values?: readonly unknown[]): Promise<number>;
  /** READ COMMITTED. When it rejects, nothing was changed, unless it was the reply to COMMIT that got lost. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  /** `COPY ... FROM STDIN`: memory is bounded, the server's pace rules. Resolves with the number of rows. */
  copyIn(sql: string, chunks: AsyncIterable<Buffer>): Promise<number>;
  /** `COPY ... TO STDOUT`. Whoever stops before the end has given the connection up. */
  copyOut(sql: string): AsyncGenerator<Buffer, void, undefined>;
  /** Ends it, also while something runs: then the server undoes that. Idempotent. */
  close(): Promise<void>;
}

const connectMs = 10_000;
/** A server that is stopped does not answer a farewell either. */
const farewellMs = 1_000;

/**
 * What every session sets. Nothing depends on how the server, the database or the user is configured, and nobody waits
 * for ever: a lock for 5 s (then it is tried again), a paused process keeps a transaction open for a minute, and the
 * server notices within seconds that we are gone.
 */
const sessionSettings: readonly (readonly [name: string, value: string, since: number])[] = [
  ['search_path', 'pg_catalog, pg_temp', 0],
  ['client_encoding', 'UTF8', 0],
  ['standard_conforming_strings', 'on', 0],
  // UTC, by the one name that needs no files of zones.
  ['TimeZone', 'GMT', 0],
  ['statement_timeout', '0', 0],
  ['transaction_timeout', '0', 170_000],
  ['lock_timeout', '5s', 0],
  ['idle_in_transaction_session_timeout', '60s', 0],
  ['tcp_keepalives_idle', '30', 0],
  ['tcp_keepalives_interval', '10', 0],
  ['tcp_keepalives_count', '3', 0],
  // Rows that a policy hides must be an error, not missing.
  ['row_security', 'off', 0],
  // Staging is read in the order in which it lies on the disk.
  ['synchronize_seqscans', 'off', 0],
  ['max_parallel_workers_per_gather', '0', 0],
  ['jit', 'off', 0],
];

/** Connects once. Rejects with the driver's or the server's error; `retry.ts` judges it. */
export async function connect(settings: PostgresSettings, signal?: AbortSignal): Promise<Session> {
  signal?.throwIfAborted();
  const wire = openWire(settings, signal);
  try {
    await wire.client.connect();
    const serverVersion = await settle(wire);
    return sessionOn(wire, serverVersion);
  } catch (error) {
    wire.usable = false;
    wire.socket.destroy();
    throw error;
  }
}

/** A connection and what is known of it. */
interface Wire {
  readonly client: pg.Client;
  readonly socket: Socket;
  readonly gone: Promise<void>;
  usable: boolean;
  /** Something runs: a farewell would have to wait for it. */
  busy: boolean;
}

function openWire(settings: PostgresSettings, signal: AbortSignal | undefined): Wire {
  const socket = new Socket();
  const client = new pg.Client(clientConfig(settings, socket));
  const gone = new Promise<void>((resolve) => void client.once('end', resolve));
  const wire = { client, socket, gone, usable: true, busy: false };
  // What is lost is told by the statement that runs, or by the next.
  const lose = () => {
    wire.usable = false;
  };
  client.on('error', lose).on('end', lose);
  const abort = () => void socket.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  void gone.then(() => signal?.removeEventListener('abort', abort));
  return wire;
}

function sessionOn(wire: Wire, serverVersion: number): Session {
  return {
    serverVersion,
    get usable() {
      return wire.usable;
    },
    async rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]> {
      return (await query(wire, sql, values)).rows as T[];
    },
    async run(sql, values) {
      return (await query(wire, sql, values)).rowCount ?? 0;
    },
    async transaction(work) {
      await query(wire, 'BEGIN ISOLATION LEVEL READ COMMITTED');
      try {
        const value = await work();
        await query(wire, 'COMMIT');
        return value;
      } catch (error) {
        // The first error is the one to tell; a connection that cannot even roll back is none.
        await query(wire, 'ROLLBACK').catch(() => giveUp(wire));
        throw error;
      }
    },
    copyIn: (sql, chunks) => copyIn(wire, sql, chunks),
    copyOut: (sql) => copyOut(wire, sql),
    close: () => (wire.busy || !wire.usable ? giveUp(wire) : farewell(wire)),
  };
}

async function query(wire: Wire, sql: string, values: readonly unknown[] = []): Promise<pg.QueryResult> {
  wire.busy = true;
  try {
    return await wire.client.query(sql, [...values]);
  } finally {
    wire.busy = false;
  }
}

async function copyIn(wire: Wire, sql: string, chunks: AsyncIterable<Buffer>): Promise<number> {
  const into = wire.client.query(copy.from(sql, { highWaterMark: 1_048_576 }));
  into.on('error', toldOtherwise);
  wire.busy = true;
  const failures: unknown[] = [];
  const source = async function* () {
    try {
      yield* chunks;
    } catch (error) {
      failures.push(error);
      // The server would be told why, and log it: it is told nothing.
      await giveUp(wire);
    }
  };
  try {
    await pipeline(Readable.from(source(), { objectMode: true, highWaterMark: 2 }), into);
    return into.rowCount;
  } catch (error) {
    await giveUp(wire);
    throw failures[0] ?? error;
  } finally {
    wire.busy = false;
  }
}

async function* copyOut(wire: Wire, sql: string): AsyncGenerator<Buffer, void, undefined> {
  const from: Readable = wire.client.query(copy.to(sql));
  from.on('error', toldOtherwise);
  wire.busy = true;
  let whole = false;
  try {
    yield* from as AsyncIterable<Buffer>;
    whole = true;
  } finally {
    wire.busy = false;
    if (!whole) await giveUp(wire);
  }
}

async function giveUp(wire: Wire): Promise<void> {
  wire.usable = false;
  wire.socket.destroy();
  await wire.gone;
}

async function farewell(wire: Wire): Promise<void> {
  wire.usable = false;
  const late = setTimeout(() => wire.socket.destroy(), farewellMs);
  await wire.client.end();
  await wire.gone;
  clearTimeout(late);
}

/** An error of a copy reaches whoever waits for it; the driver also emits it when nobody does any more. */
function toldOtherwise(): void {}

function clientConfig(settings: PostgresSettings, socket: Socket): pg.ClientConfig {
  const { host, port, database, user, password, tls } = settings;
  return {
    ...{ host, port, database, user },
    // Never from the environment, nor from a file in somebody's home.
    password: () => password ?? noPassword(user),
    ssl: tls === null ? false : tlsOptions(tls),
    stream: () => socket,
    application_name: 'untradex-exporter',
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

/** A copy: the driver changes it. It also puts the host in place of our name, but asks us whether a certificate fits. */
function tlsOptions(tls: PostgresTls): ConnectionOptions {
  const { servername } = tls;
  const other: ConnectionOptions =
    servername === undefined
      ? {}
      : { checkServerIdentity: (_host, certificate) => checkServerIdentity(servername, certificate) };
  return { ...tls, ...other, rejectUnauthorized: true };
}

function noPassword(user: string): never {
  throw problem(
    'database_refused',
    `the server asks for the password of ${user}, and none is configured`,
    'Name a file with it in sink.passwordFile, or let the server know the user by a certificate.',
  );
}

/** Makes the session what it must be, and says which version it is of. */
async function settle(wire: Wire): Promise<number> {
  const { rows } = await query(wire, `SELECT current_setting('server_version_num')::int4 AS version`);
  const { version } = rows[0] as { version: number };
  const calls = sessionSettings
    .filter(([, , since]) => version >= since)
    .map(([name, value]) => `set_config('${name}', '${value}', false)`);
  // Without it a commit may be lost in a power failure; what asks for even more is left as it is.
  calls.push(
    `CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END`,
  );
  await query(wire, `SELECT ${calls.join(', ')}`);
  if (version >= 140_000) await noticeWhenGone(wire);
  return version;
}

/** Some systems cannot tell a server that the other side is gone. */
async function noticeWhenGone(wire: Wire): Promise<void> {
  try {
    await query(wire, `SELECT set_config('client_connection_check_interval', '5s', false)`);
  } catch (error) {
    if (stateOf(error) !== '22023') throw error;
  }
}
