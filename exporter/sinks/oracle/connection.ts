import tls from 'node:tls';
import type { BindDefinition, Connection, DbType, ResultSet } from 'oracledb';
import type { OracleSettings } from './config.ts';
import { codeOf, errorClassOf } from './errors.ts';

/** What a statement takes: by position. Never a date (`time.ts`). */
export type Bind = string | number | null;

/** One connection, and so one session of the server. Its methods are called one after the other. */
export interface Session {
  /** 1903000000 is 19.3. */
  readonly serverVersion: number;
  readonly versionText: string;
  /** The user's name as the dictionary has it, which is also its schema. */
  readonly user: string;
  /** What the server warned of at the connect, ORA-28002 above all, or null. */
  readonly warning: string | null;
  /** False once the connection is lost or was given up. */
  readonly usable: boolean;
  /** Rows as objects, by the names that the statement gives. CLOBs come as text. */
  rows<T extends object>(sql: string, binds?: readonly Bind[]): Promise<T[]>;
  /** How many rows a statement touched. DDL commits by itself, before and after. */
  run(sql: string, binds?: readonly Bind[]): Promise<number>;
  /** A statement and its commit in one message: nobody who dies in between leaves others waiting. */
  commit(sql: string, binds: readonly Bind[]): Promise<void>;
  /** Rows as arrays, in batches of at most `size`, at the pace of whoever reads. */
  stream(sql: string, binds: readonly Bind[], size: number): AsyncGenerator<unknown[][], void, undefined>;
  /**
   * Direct path: all rows or none, and the server commits them by itself. When it rejects because the connection is
   * lost, nobody knows which.
   */
  directPath(schema: string, table: string, columns: readonly string[], rows: unknown[][]): Promise<void>;
  /** One INSERT for many rows, not committed. Resolves with what was refused, by place in `rows`. */
  insertMany(sql: string, types: readonly BindType[], rows: unknown[][]): Promise<{ offset: number; error: Error }[]>;
  /** READ COMMITTED. When it rejects, nothing was changed, unless it was the reply to COMMIT that got lost. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  /** Ends it, also while something runs: then the server undoes that. Idempotent. */
  close(): Promise<void>;
}

export type BindType = 'number' | { readonly text: number };

const connectSeconds = 10;
/** A server that is stopped does not answer a farewell either. */
const farewellMs = 1_000;
/** Of the network layer of the driver: closes the socket without a word. */
const immediately = 0x0040;

/**
 * What every session sets, so that nothing depends on how the server or this machine is configured: order and equality
 * are those of the bytes, times are UTC, and a commit is on the disk when it is answered.
 */
const sessionSettings = [
  `ALTER SESSION SET TIME_ZONE = '+00:00'`,
  `ALTER SESSION SET NLS_SORT = 'BINARY' NLS_COMP = 'BINARY'`,
  `ALTER SESSION SET COMMIT_WAIT = 'WAIT'`,
] as const;

/** Connects once. Rejects with the driver's or the server's error; `errors.ts` judges it. */
export async function connect(settings: OracleSettings, signal?: AbortSignal): Promise<Session> {
  signal?.throwIfAborted();
  const { default: oracledb } = await import('oracledb');
  const { connectString, user, password, tls: own } = settings;
  if (own.ca !== null) believe(own.ca);
  const connecting = oracledb.getConnection({
    ...{ connectString, user, password, program: 'untradex-exporter' },
    ...{ connectTimeout: connectSeconds, transportConnectTimeout: connectSeconds, expireTime: 1 },
    ...(own.wallet === null ? {} : { walletContent: own.wallet }),
    ...(own.walletPassword === null ? {} : { walletPassword: own.walletPassword }),
    ...(own.serverDn === null ? {} : { sslServerCertDN: own.serverDn }),
  });
  const connection = await orAborted(connecting, signal);
  const wire: Wire = { oracledb, connection, usable: true, busy: false };
  const abort = () => hangUp(wire);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for (const statement of sessionSettings) await execute(wire, statement);
    const [row] = await rowsOf<{ name: string }>(wire, 'SELECT USER AS "name" FROM DUAL', []);
    return sessionOn(wire, row!.name, () => signal?.removeEventListener('abort', abort));
  } catch (error) {
    signal?.removeEventListener('abort', abort);
    hangUp(wire);
    throw error;
  }
}

/** A connection and what is known of it. */
interface Wire {
  readonly oracledb: typeof import('oracledb');
  readonly connection: Connection;
  usable: boolean;
  /** Something runs: a farewell would have to wait for it. */
  busy: boolean;
}

function sessionOn(wire: Wire, user: string, onClose: () => void): Session {
  const { connection } = wire;
  const warning = (connection as { warning?: Error }).warning?.message ?? null;
  let closing: Promise<void> | null = null;
  return {
    serverVersion: connection.oracleServerVersion,
    versionText: connection.oracleServerVersionString,
    user,
    warning,
    get usable() {
      return wire.usable;
    },
    rows: (sql, binds = []) => rowsOf(wire, sql, binds),
    async run(sql, binds = []) {
      return (await execute(wire, sql, binds)).rowsAffected ?? 0;
    },
    async commit(sql, binds) {
      await busily(wire, () => connection.execute(sql, [...binds], { autoCommit: true }));
    },
    stream: (sql, binds, size) => stream(wire, sql, binds, size),
    directPath: (schema, table, columns, rows) =>
      busily(wire, () => connection.directPathLoad(schema, table, [...columns], rows)),
    insertMany: (sql, types, rows) => insertMany(wire, sql, types, rows),
    async transaction(work) {
      try {
        const value = await work();
        await busily(wire, () => connection.commit());
        return value;
      } catch (error) {
        // The first error is the one to tell; a connection that cannot even roll back is none.
        if (wire.usable) await busily(wire, () => connection.rollback()).catch(() => hangUp(wire));
        throw error;
      }
    },
    close() {
      closing ??= farewell(wire).finally(onClose);
      return closing;
    },
  };
}

/** Marks a connection that an error says is lost, so that nobody uses it again. */
async function busily<T>(wire: Wire, work: () => Promise<T>): Promise<T> {
  wire.busy = true;
  try {
    return await work();
  } catch (error) {
    const { verdict, code } = errorClassOf(error);
    const isLost = verdict === 'retry' && code === 'database_unreachable';
    if (isLost || codeOf(error) === null) hangUp(wire);
    throw error;
  } finally {
    wire.busy = false;
  }
}

function execute(wire: Wire, sql: string, binds: readonly Bind[] = []) {
  return busily(wire, () => wire.connection.execute(sql, [...binds]));
}

async function rowsOf<T extends object>(wire: Wire, sql: string, binds: readonly Bind[]): Promise<T[]> {
  const options = { outFormat: wire.oracledb.OUT_FORMAT_OBJECT, fetchTypeHandler: textOfLobs(wire) };
  const { rows } = await busily(wire, () => wire.connection.execute<T>(sql, [...binds], options));
  return rows ?? [];
}

function textOfLobs({ oracledb }: Wire) {
  return ({ dbType }: { dbType?: DbType | number | undefined }) =>
    dbType === oracledb.DB_TYPE_CLOB ? { type: oracledb.STRING } : undefined;
}

async function* stream(wire: Wire, sql: string, binds: readonly Bind[], size: number) {
  const { oracledb, connection } = wire;
  const sizes = { resultSet: true, fetchArraySize: size, prefetchRows: size } as const;
  const options = { ...sizes, outFormat: oracledb.OUT_FORMAT_ARRAY, fetchTypeHandler: textOfLobs(wire) };
  const { resultSet } = await busily(wire, () => connection.execute<unknown[]>(sql, [...binds], options));
  const rows: ResultSet<unknown[]> = resultSet!;
  const read = () => busily(wire, () => rows.getRows(size));
  let next = read();
  try {
    for (let batch = await next; batch.length > 0; batch = await next) {
      // One batch ahead of whoever reads; told when it is waited for.
      next = read();
      next.catch(() => undefined);
      yield batch;
    }
  } finally {
    await next.catch(() => undefined);
    if (wire.usable) await rows.close();
  }
}

async function insertMany(wire: Wire, sql: string, types: readonly BindType[], rows: unknown[][]) {
  const { oracledb, connection } = wire;
  const bindDefs: BindDefinition[] = types.map((type) =>
    type === 'number' ? { type: oracledb.NUMBER } : { type: oracledb.STRING, maxSize: type.text },
  );
  const options = { bindDefs, batchErrors: true };
  const { batchErrors = [] } = await busily(wire, () => connection.executeMany(sql, rows as never, options));
  return batchErrors.map((error) => ({ offset: error.offset ?? 0, error }));
}

/** The driver has no way to give up what runs without the server's help: that takes the socket itself. */
function hangUp(wire: Wire): void {
  wire.usable = false;
  const inner = (wire.connection as unknown as { _impl?: { nscon?: { disconnect(how: number): void } } })._impl;
  inner?.nscon?.disconnect(immediately);
}

async function farewell(wire: Wire): Promise<void> {
  if (wire.busy || !wire.usable) return hangUp(wire);
  wire.usable = false;
  const late = setTimeout(() => hangUp(wire), farewellMs);
  try {
    await wire.connection.close();
  } catch {
    hangUp(wire);
  } finally {
    clearTimeout(late);
  }
}

/** A connect that is not waited for any more ends by itself, within its time limits, and is closed then. */
async function orAborted(connecting: Promise<Connection>, signal: AbortSignal | undefined): Promise<Connection> {
  if (!signal) return connecting;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([connecting, aborted.promise]);
  } catch (error) {
    connecting.then((connection) => connection.close()).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The driver takes no authority without a key of ours, but believes whom Node does. */
function believe(ca: string): void {
  const known = tls.getCACertificates('default');
  if (!known.includes(ca)) tls.setDefaultCACertificates([...known, ca]);
}
