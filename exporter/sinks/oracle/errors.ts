import { identifier } from './names.ts';

// What each error of Oracle and of its driver asks for: one table, for the exporter and for docs/oracle.md, which is
// made of it. Codes: https://docs.oracle.com/error-help/db/ and lib/errors.js of the driver.

/**
 * - retry: the same step again, soon, by the same process. Only for steps that may be repeated; loading is not one.
 * - attempt: this step is over; a new attempt, later, may work.
 * - person: the next attempt would meet the same, until somebody mends it.
 */
export type Verdict = 'retry' | 'attempt' | 'person';

/** Errors that ask for the same. */
export interface ErrorClass {
  readonly title: string;
  readonly verdict: Verdict;
  /** Code of the Problem that is told. */
  readonly code: string;
  /** What somebody should do. */
  readonly remedy: string;
  /** The statement that mends it, where the message names what it needs. */
  readonly sql?: (message: string, user: string) => string | null;
  /** Every code of the class, and what it means. */
  readonly codes: Readonly<Record<string, string>>;
}

const again = 'It is tried again by itself.';

const unreachable: ErrorClass = {
  title: 'Not reachable',
  verdict: 'retry',
  code: 'database_unreachable',
  remedy: `See that listener and instance run, that the service is registered, and that the exporter's pods may reach them. ${again}`,
  codes: {
    'ORA-01033': 'the instance is starting up or shutting down',
    'ORA-01034': 'no instance is running',
    'ORA-01089': 'an immediate shutdown is in progress',
    'ORA-01090': 'a shutdown is in progress',
    'ORA-01092': 'the instance was terminated',
    'ORA-01109': 'the database is not open',
    'ORA-12170': 'connecting timed out',
    'ORA-12203': 'unable to connect to the destination',
    'ORA-12505': 'the listener does not know the SID, yet',
    'ORA-12514': 'the listener does not know the service, yet',
    'ORA-12518': 'the listener could not hand the connection over',
    'ORA-12520': 'the listener finds no handler for this kind of server',
    'ORA-12521': 'the listener does not know the instance',
    'ORA-12526': 'all instances are in restricted mode',
    'ORA-12527': 'all instances are blocked or restricted',
    'ORA-12528': 'all instances block new connections',
    'ORA-12535': 'the operation timed out',
    'ORA-12541': 'no listener answers at that address',
    'ORA-12543': 'the host is not reachable',
    'ORA-12545': 'the host is not known or not reachable',
    'ORA-12609': 'receiving timed out',
    'ORA-25408': 'the call cannot be replayed after a failover',
    'NJS-503': 'the connection could not be established',
    'NJS-510': 'connecting timed out',
    'NJS-511': 'the listener refused the connection',
    'NJS-513': 'the server says that it goes down',
    'NJS-518': 'the listener does not know the service, yet (ORA-12514)',
    'NJS-519': 'the listener does not know the SID, yet (ORA-12505)',
    'NJS-530': 'the name of the host cannot be resolved',
  },
};

const lost: ErrorClass = {
  title: 'Connection lost in the middle',
  verdict: 'retry',
  code: 'database_unreachable',
  remedy: `Look into the alert log and at what is between. What the server made of it is read from the control row, or a new attempt begins: nothing is guessed. ${again}`,
  codes: {
    'ORA-00028': 'an administrator killed the session',
    'ORA-00602': 'internal programming exception',
    'ORA-00603': 'the server session ended by a fatal error',
    'ORA-00609': 'no client could be attached to the session',
    'ORA-01012': 'not logged on any more',
    'ORA-01041': 'internal error: the host definition is gone',
    'ORA-02396': 'idle for longer than the profile allows',
    'ORA-02399': 'connected for longer than the profile allows',
    'ORA-03113': 'end of file on the communication channel',
    'ORA-03114': 'not connected',
    'ORA-03135': 'contact is lost',
    'ORA-12153': 'not connected',
    'ORA-12537': 'the connection was closed',
    'ORA-12547': 'contact is lost',
    'ORA-12570': 'packet reader failure',
    'ORA-12571': 'packet writer failure',
    'ORA-12583': 'there is no reader',
    'ORA-12592': 'a bad packet',
    'NJS-500': 'the connection was closed or broken',
    'NJS-501': 'the connection ended unexpectedly',
    'NJS-521': 'end of file on the communication channel',
    'NJS-003': 'the connection is closed already',
  },
};

const crowded: ErrorClass = {
  title: 'Too many sessions',
  verdict: 'retry',
  code: 'database_busy',
  remedy: `Raise processes and sessions, or the profile's SESSIONS_PER_USER; each loader needs one session, the publisher two. ${again}`,
  codes: {
    'ORA-00018': 'the maximum number of sessions is reached',
    'ORA-00020': 'the maximum number of processes is reached',
    'ORA-02391': 'the user has as many sessions as its profile allows',
    'ORA-12516': 'the listener finds no handler that has room',
    'ORA-12519': 'the listener finds no suitable handler',
  },
};

const locked: ErrorClass = {
  title: 'Locks',
  verdict: 'retry',
  code: 'target_locked',
  remedy: `See in V$LOCKED_OBJECT and V$SESSION who holds the table or the session's row in UNTRADEX_EXPORTS. ${again}`,
  codes: {
    'ORA-00054': 'the table is locked by somebody else',
    'ORA-00060': 'a deadlock: this transaction was chosen to give way',
    'ORA-04020': 'a deadlock over the definition of an object',
    'ORA-04021': 'waiting for the lock of an object timed out',
    'ORA-08177': 'the transaction cannot be serialised',
    'ORA-30006': 'the row is locked by another transaction',
  },
};

const tablespaceIn = (message: string) => /tablespace ['"]?([A-Za-z][A-Za-z0-9_$#]*)/.exec(message)?.[1] ?? null;

const space: ErrorClass = {
  title: 'Space',
  verdict: 'attempt',
  code: 'sink_full',
  remedy: `Give the tablespace or destination room that the message names. ${again}`,
  sql(message, user) {
    const name = tablespaceIn(message);
    if (/ORA-(00257|19809|19815)/.test(message)) return 'ALTER SYSTEM SET DB_RECOVERY_FILE_DEST_SIZE = 500G';
    if (name === null) return null;
    if (message.includes('ORA-01536')) return `ALTER USER ${identifier(user)} QUOTA UNLIMITED ON ${identifier(name)}`;
    const file = message.includes('temp segment') && /^TEMP/.test(name) ? 'TEMPFILE' : 'DATAFILE';
    return `ALTER TABLESPACE ${identifier(name)} ADD ${file} SIZE 1G AUTOEXTEND ON NEXT 1G`;
  },
  codes: {
    'ORA-00257': 'the archiver is stuck: free the destination of the archived logs',
    'ORA-01536': 'the quota of the user is used up',
    'ORA-01562': 'the undo segment cannot grow',
    'ORA-01650': 'the undo segment cannot grow',
    'ORA-01652': 'a temporary segment cannot grow: sorting, or a direct path insert',
    'ORA-01653': 'a table cannot grow',
    'ORA-01654': 'an index cannot grow',
    'ORA-01658': 'there is no room for the first extent',
    'ORA-01688': 'a partition cannot grow',
    'ORA-01691': 'a LOB cannot grow',
    'ORA-01692': 'the LOB of a partition cannot grow',
    'ORA-04030': 'the server process has no memory left',
    'ORA-04031': 'the shared memory is used up',
    'ORA-19502': 'a file could not be written',
    'ORA-19809': 'the recovery area is full',
    'ORA-19815': 'the recovery area is nearly full',
    'ORA-27072': 'the operating system could not read or write',
    'ORA-30036': 'the undo tablespace is full',
  },
};

const credentials: ErrorClass = {
  title: 'Credentials',
  verdict: 'person',
  code: 'database_refused',
  remedy:
    'Set user and password in the Secret or the files that the sink names; then it is tried again. It is not before, since a wrong password locks the account.',
  sql(message, user) {
    const name = identifier(user.toUpperCase());
    if (message.includes('ORA-28000')) return `ALTER USER ${name} ACCOUNT UNLOCK`;
    if (message.includes('ORA-01045')) return `GRANT CREATE SESSION TO ${name}`;
    return /ORA-28001/.test(message) ? `ALTER USER ${name} IDENTIFIED BY "..."` : null;
  },
  codes: {
    'ORA-01005': 'no password was given',
    'ORA-01017': 'wrong user or password',
    'ORA-01045': 'the user may not create a session',
    'ORA-28000': 'the account is locked',
    'ORA-28001': 'the password has expired',
    'ORA-28003': 'the new password does not satisfy the rules',
    'ORA-28040': 'no matching authentication protocol',
    'NJS-116': 'the password has a verifier (10G) that the driver does not speak: set the password again',
  },
};

const privileges: ErrorClass = {
  title: 'Privileges',
  verdict: 'person',
  code: 'database_unprepared',
  remedy: 'Grant what is missing; `untradex ddl oracle` prints all that the exporter needs.',
  sql(message, user) {
    const name = tablespaceIn(message);
    if (message.includes('ORA-01950') && name !== null) {
      return `ALTER USER ${identifier(user)} QUOTA UNLIMITED ON ${identifier(name)}`;
    }
    return message.includes('ORA-01031') ? `GRANT CREATE SESSION, CREATE TABLE TO ${identifier(user)}` : null;
  },
  codes: {
    'ORA-00942': 'a table or view is not there, or may not be seen',
    'ORA-01031': 'insufficient privileges',
    'ORA-01749': 'nobody can grant privileges to himself',
    'ORA-01918': 'the user does not exist',
    'ORA-01950': 'no quota on the tablespace',
    'ORA-00959': 'the tablespace does not exist',
    'ORA-41900': 'a privilege is missing (23ai)',
  },
};

const address: ErrorClass = {
  title: 'Address and TLS',
  verdict: 'person',
  code: 'database_refused',
  remedy: "Mend the sink's connectString (host:port/service, or a description) or its tls.",
  codes: {
    'ORA-12154': 'the alias is not known',
    'ORA-12162': 'the service name is wrong',
    'ORA-12261': 'the easy connect string cannot be read',
    'ORA-12660': 'the server asks for encryption that thin mode does not have: use tcps',
    'NJS-138': 'this version of the server is too old for the driver',
    'NJS-505': 'the certificate or key cannot be used',
    'NJS-506': 'the TLS handshake failed',
    'NJS-507': "the server's certificate has another name than serverDn",
    'NJS-508': "the server's certificate is not for this host",
    'NJS-512': 'a parameter of the connect string is wrong',
    'NJS-514': 'the connect string cannot be read',
    'NJS-515': 'the easy connect string cannot be read',
    'NJS-516': 'there is no folder with a tnsnames.ora',
    'NJS-517': 'the alias is not in tnsnames.ora',
    'NJS-520': 'there is no tnsnames.ora',
    'NJS-522': 'the connect string has too many parts',
    'NJS-529': 'the wallet is not PEM',
    'NJS-533': 'the server asks for native encryption, which thin mode does not have: use tcps',
  },
};

const unfit: ErrorClass = {
  title: 'Rows that the table does not take',
  verdict: 'person',
  code: 'target_unfit',
  remedy:
    'Make the table take these rows: docs/oracle.md says what its columns, constraints, triggers and partitions must be.',
  codes: {
    'ORA-00904': 'a column is not there',
    'ORA-00955': 'something else has that name',
    'ORA-01400': 'NULL into a column that is NOT NULL',
    'ORA-01407': 'NULL into a column that is NOT NULL',
    'ORA-01438': 'a number is too large for its column',
    'ORA-01461': 'a long value for a column that is none',
    'ORA-01502': 'an index is unusable: ALTER INDEX ... REBUILD',
    'ORA-01722': 'not a number',
    'ORA-01841': 'a year beyond 9999',
    'ORA-02290': 'a check constraint is violated',
    'ORA-02291': 'a foreign key is violated',
    'ORA-12899': 'a text is too long for its column',
    'ORA-14300': 'the partition would lie beyond what is possible',
    'ORA-14400': 'no partition takes the row',
    'ORA-14401': 'the row would move to another partition',
    'ORA-26026': 'a unique index is unusable: ALTER INDEX ... REBUILD',
    'ORA-28115': 'a policy refuses the row',
    'ORA-20000': 'a trigger or procedure refused',
  },
};

const defect: ErrorClass = {
  title: 'A defect of ours',
  verdict: 'person',
  code: 'exporter_defect',
  remedy: 'This is a defect: nothing was published, nothing may be released. Keep the volumes, and report it.',
  codes: {
    'ORA-00001': 'a row is there twice (at publish: rows_doubled)',
    'ORA-00900': 'the statement cannot be read',
    'ORA-00911': 'the statement cannot be read',
    'ORA-00933': 'the statement cannot be read',
    'ORA-12838': 'the table was changed by direct path in this transaction',
    'ORA-38910': 'batchErrors with a direct path insert',
    'NJS-011': 'a value of another type than its column',
    'NJS-058': 'a value is longer than its staging column',
    'NJS-098': 'another number of values than of columns',
    'NJS-099': 'more than one message holds',
    'NJS-175': 'null for a staging column that is NOT NULL',
  },
};

const corrupt: ErrorClass = {
  title: 'After NOLOGGING and a restore',
  verdict: 'person',
  code: 'database_corrupt',
  remedy:
    'Blocks that were not logged are lost in a restore. Remove the rows of the session and its row in UNTRADEX_EXPORTS, then export again from the queue or the archive; docs/oracle.md, Restoring.',
  codes: {
    'ORA-01578': 'a block is corrupt',
    'ORA-26040': 'the block was loaded with NOLOGGING',
  },
};

const failed: ErrorClass = {
  title: 'Everything else',
  verdict: 'attempt',
  code: 'database_failed',
  remedy: `Look into the alert log of the database. ${again}`,
  codes: {
    'ORA-00600': 'an internal error',
    'ORA-01013': 'the call was cancelled',
    'ORA-01555': 'the undo that reading needs is overwritten: raise UNDO_RETENTION',
    'ORA-07445': 'the server process crashed',
    'ORA-08103': 'a table was dropped or truncated while it was read',
    'ORA-16000': 'the database is open for reading only: name the primary in connectString',
    'ORA-16456': 'a switchover is in progress',
    'ORA-00604': 'an error within the server’s own SQL or a trigger',
    'NJS-123': 'a call took longer than allowed',
  },
};

/** In the order of docs/oracle.md. The last one is for every code that is nowhere. */
export const errorClasses: readonly ErrorClass[] = [
  ...[unreachable, lost, crowded, locked, space, credentials, privileges, address, unfit, defect, corrupt, failed],
];

/** Told at a connect that works. */
export const passwordExpires = 'ORA-28002';

/**
 * Codes with which a server says that it takes no direct path load into this table, before any row was: then the rows
 * go in by array INSERTs.
 */
export const directPathRefused: readonly string[] = ['ORA-00439', 'ORA-03001', 'ORA-26002', 'ORA-39776', 'ORA-39826'];

const byCode = new Map(errorClasses.flatMap((one) => Object.keys(one.codes).map((code) => [code, one] as const)));

/**
 * The code of an error: what the database says (also through the driver, which wraps the listener's refusals and lost
 * connections in codes of its own), else what the driver does. Null: neither.
 */
export function codeOf(error: unknown): string | null {
  const { code, errorNum, message = '' } = (error ?? {}) as { code?: unknown; errorNum?: unknown; message?: string };
  if (typeof errorNum === 'number' && errorNum > 0) return `ORA-${String(errorNum).padStart(5, '0')}`;
  if (code === 'NJS-511') {
    const cause = /Cause: (ORA-\d{5})/.exec(message)?.[1];
    if (cause !== undefined && byCode.has(cause)) return cause;
  }
  return typeof code === 'string' && /^(ORA-\d{5}|NJS-\d{3})$/.test(code) ? code : null;
}

/** Pure: what an error asks for. */
export function errorClassOf(error: unknown): ErrorClass {
  const code = codeOf(error);
  const known = code === null ? undefined : byCode.get(code);
  if (known !== undefined) return known;
  // The driver says so of codes that mean a lost connection and that are nowhere here.
  const { code: own, isRecoverable } = (error ?? {}) as { code?: unknown; isRecoverable?: unknown };
  return own === 'NJS-500' || isRecoverable === true ? lost : failed;
}
