import { Socket } from 'node:net';
import { type Readable, Readable as Stream } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import copy from 'pg-copy-streams';
import { problem } from '#queue/problem.ts';
import type { PostgresSettings } from './config.ts';
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
  const socket = new Socket();
  const client = new pg.Client(clientConfig(settings, socket));
  let usable = true;
  let busy = false;
  const lose = () => {
    usable = false;
  };
  const gone = new Promise<void>((resolve) => void client.once('end', resolve));
  // What is lost is told by the statement that runs, or by the next.
  client.on('error', lose).on('end', lose);
  const abort = () => void socket.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  void gone.then(() => signal?.removeEventListener('abort', abort));

  const query = async (sql: string, values: readonly unknown[] = []) => {
    busy = true;
    try {
      return await client.query(sql, [...values]);
    } finally {
      busy = false;
    }
  };
  const giveUp = async () => {
    usable = false;
    socket.destroy();
    await gone;
  };

  const session = {
    serverVersion: 0,
    get usable() {
      return usable;
    },
    async rows<T extends object>(sql: string, values?: readonly unknown[]): Promise<T[]> {
      return (await query(sql, values)).rows as T[];
    },
    async run(sql: string, values?: readonly unknown[]) {
      return (await query(sql, values)).rowCount ?? 0;
    },
    async transaction<T>(work: () => Promise<T>): Promise<T> {
      await query('BEGIN ISOLATION LEVEL READ COMMITTED');
      try {
        const value = await work();
        await query('COMMIT');
        return value;
      } catch (error) {
        // The first error is the one to tell; a connection that cannot even roll back is none.
        await query('ROLLBACK').catch(giveUp);
        throw error;
      }
    },
    async copyIn(sql: string, chunks: AsyncIterable<Buffer>) {
      const into = client.query(copy.from(sql, { highWaterMark: 1_048_576 }));
      into.on('error', toldOtherwise);
      busy = true;
      let failure: { error: unknown } | null = null;
      const source = async function* () {
        try {
          yield* chunks;
        } catch (error) {
          failure = { error };
          // The server would be told why, and log it: it is told nothing.
          await giveUp();
        }
      };
      try {
        await pipeline(Stream.from(source(), { objectMode: true, highWaterMark: 2 }), into);
        return into.rowCount;
      } catch (error) {
        await giveUp();
        throw failure === null ? error : (failure as { error: unknown }).error;
      } finally {
        busy = false;
      }
    },
    async *copyOut(sql: string) {
      const from: Readable = client.query(copy.to(sql));
      from.on('error', toldOtherwise);
      busy = true;
      let whole = false;
      try {
        yield* from as AsyncIterable<Buffer>;
        whole = true;
      } finally {
        busy = false;
        if (!whole) await giveUp();
      }
    },
    async close() {
      if (busy || !usable) return giveUp();
      usable = false;
      const late = setTimeout(() => socket.destroy(), farewellMs);
      await client.end();
      await gone;
      clearTimeout(late);
    },
  };

  try {
    await client.connect();
    await settle(session);
    return session;
  } catch (error) {
    usable = false;
    socket.destroy();
    throw error;
  }
}

/** An error of a copy reaches whoever waits for it; the driver also emits it when nobody does any more. */
function toldOtherwise(): void {}

function clientConfig(settings: PostgresSettings, socket: Socket): pg.ClientConfig {
  const { host, port, database, user, password, tls } = settings;
  return {
    ...{ host, port, database, user },
    // Never from the environment, nor from a file in somebody's home.
    password: () => password ?? noPassword(user),
    // A copy: the driver changes it.
    ssl: tls === null ? false : { ...tls, rejectUnauthorized: true },
    stream: () => socket,
    application_name: 'untradex-exporter',
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}

function noPassword(user: string): never {
  throw problem(
    'database_refused',
    `the server asks for the password of ${user}, and none is configured`,
    'Name a file with it in sink.passwordFile, or let the server know the user by a certificate.',
  );
}

async function settle(session: Session & { serverVersion: number }): Promise<void> {
  const [row] = await session.rows<{ version: number }>(
    `SELECT current_setting('server_version_num')::int4 AS version`,
  );
  const version = row!.version;
  session.serverVersion = version;
  const calls = sessionSettings
    .filter(([, , since]) => version >= since)
    .map(([name, value]) => `set_config('${name}', '${value}', false)`);
  // Without it a commit may be lost in a power failure; what asks for even more is left as it is.
  calls.push(
    `CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN set_config('synchronous_commit', 'on', false) END`,
  );
  await session.rows(`SELECT ${calls.join(', ')}`);
  if (version >= 140_000) await noticeWhenGone(session);
}

/** Some systems cannot tell a server that the other side is gone. */
async function noticeWhenGone(session: Session): Promise<void> {
  try {
    await session.rows(`SELECT set_config('client_connection_check_interval', '5s', false)`);
  } catch (error) {
    if (stateOf(error) !== '22023') throw error;
  }
}
