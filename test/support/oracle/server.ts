import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type Connection, serveConnection } from './connection.ts';
import { closeSession, createDatabase, type Database, openSession } from './database.ts';
import type { Facts } from './dictionary.ts';
import { createFaults, type Faults, type Message } from './faults.ts';
import { execute } from './statements.ts';
import { endTransaction } from './transactions.ts';

// A double of Oracle: a server in the test's own process that the unmodified `oracledb` driver (thin mode) takes for a
// database of release 19. STATEMENTS.md, beside its parts, lists what it understands.
//
// It proves our client and our recovery: what is sent, in which order, and what holds after any message was lost. It is no
// proof of how Oracle's engine behaves, and above all not of space, speed, redo, NOLOGGING, partitions, privileges and
// plans, which it does not have. In particular:
//
// - SQL is SQLite's behind a translation by shape; a wrong statement that SQLite forgives is forgiven here.
// - A session that is cut off is rolled back at once; Oracle may take minutes, for which faults have `lingers`.
// - Reads are consistent by statement; there is no undo, so no ORA-01555, and no SERIALIZABLE.
// - NUMBER is a 64-bit integer or a double; integers divide as integers; || with NULL is NULL; NULLs sort first.
// - No triggers, foreign keys, CHECKs, sequences, synonyms, PL/SQL, out binds, RETURNING, JSON or BOOLEAN types.
// - No encryption by Oracle Net itself (TLS is there), wallets, proxy users, sessionless or distributed transactions.
//
// The same tests run on a real server when ORACLE_CONNECT_STRING is set: see ../anyoracle.ts.

export interface StartOracleOptions {
  /** Where rows are put that need not survive the process, for many of them; in memory when left out. */
  readonly file?: string;
  /** Of a server that was stopped: the same data again. */
  readonly database?: Database;
  readonly port?: number;
  /** What the dictionary says. */
  readonly facts?: Partial<Facts>;
  /** More users, each with a schema of its own. */
  readonly users?: Readonly<Record<string, string>>;
  /** PEM: clients must speak TLS (`tcps`). */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface TestOracle {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** `127.0.0.1:PORT/EXAMS`. */
  readonly connectString: string;
  readonly database: Database;
  readonly faults: Faults;
  /** Every message that reached this server, over all connections. */
  readonly log: readonly Message[];
  /** Runs a statement beside the wire, in a session of its own, and commits; rows as objects. */
  sql(statement: string): Promise<Record<string, unknown>[]>;
  /** Ends a connection and its session at once, as the death of its server process does; or all, with those that linger. */
  kill(connection?: number): void;
  /** Connections that are open. */
  connections(): number;
  /** Ends everything; the database stays. Idempotent. Rejects when the double could not read what it was sent. */
  stop(): Promise<void>;
}

const user = 'UNTRADEX';

/** Starts a double on a port of 127.0.0.1. */
export async function serveOracle(options: StartOracleOptions = {}): Promise<TestOracle> {
  const database = options.database ?? createDatabase(options.facts ?? {}, options.file);
  if (options.facts) database.facts = { ...database.facts, ...options.facts };
  for (const [name, word] of Object.entries(options.users ?? {})) database.users.set(name.toUpperCase(), word);
  if (!database.users.has(user)) database.users.set(user, randomBytes(9).toString('base64url'));
  const faults = createFaults();
  const log: Message[] = [];
  const connections = new Set<Connection>();
  const defects: unknown[] = [];
  const complain = (error: unknown) => void defects.push(error);
  let count = 0;
  const serve = (socket: Socket) => {
    const note = (message: Omit<Message, 'n'>): Message => {
      const noted = { n: log.length + 1, ...message };
      log.push(noted);
      return noted;
    };
    const connection = serveConnection({ id: ++count, socket, database, faults, note, complain });
    connections.add(connection);
    socket.on('close', () => connections.delete(connection));
  };
  const server = options.tls ? createTlsServer(options.tls, serve) : createServer(serve);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  function kill(connection?: number): void {
    const doomed = [...connections].filter(({ id }) => connection === undefined || id === connection);
    for (const one of doomed) one.cut();
    if (connection === undefined)
      for (const session of [...database.sessions.values()]) closeSession(database, session);
  }
  async function stop(): Promise<void> {
    kill();
    faults.release();
    if (server.listening) {
      server.close();
      await once(server, 'close');
    }
    if (defects.length > 0)
      throw new AggregateError(defects.splice(0), 'the double of Oracle did not understand something');
  }
  return {
    ...{ port, user, database, faults, log, kill, stop },
    password: database.users.get(user)!,
    connectString: `127.0.0.1:${port}/EXAMS`,
    sql: (statement) => runBeside(database, statement),
    connections: () => connections.size,
  };
}

async function runBeside(database: Database, statement: string): Promise<Record<string, unknown>[]> {
  const session = openSession(database, user, 0);
  try {
    const outcome = await execute(database, session, statement);
    endTransaction(database.sqlite, session, true);
    if (!('cursor' in outcome)) return [];
    const { columns } = outcome.cursor;
    const rows = outcome.cursor.read(Number.MAX_SAFE_INTEGER);
    const plain = (value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
    return rows.map((row) => Object.fromEntries(row.map((value, i) => [columns[i]!.name, plain(value)])));
  } finally {
    closeSession(database, session);
  }
}
