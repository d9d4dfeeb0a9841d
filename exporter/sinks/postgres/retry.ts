import { isProblem, type Problem, problem } from '#queue/problem.ts';

/**
 * What an error of PostgreSQL, or of the way to it, asks for:
 * - retry: the same step again, soon, by the same process. Only for steps that may be repeated; loading is not one.
 * - attempt: this step is over; a new attempt, later, may work.
 * - person: the next attempt would meet the same, until somebody mends it.
 */
export type Verdict = 'retry' | 'attempt' | 'person';

/** What is told when retrying was in vain, or is no use. */
interface Trouble {
  readonly verdict: Verdict;
  readonly code: string;
  readonly remedy: string;
}

const again = 'It is tried again by itself.';

const unreachable: Trouble = {
  verdict: 'retry',
  code: 'database_unreachable',
  remedy: `See that the server runs and accepts connections from here. ${again}`,
};
const locked: Trouble = {
  verdict: 'retry',
  code: 'target_locked',
  remedy: `See in pg_locks and pg_stat_activity who holds the lock. ${again}`,
};
const full: Trouble = {
  verdict: 'attempt',
  code: 'sink_full',
  remedy: `Give the server room: disk, memory, or the limit that the message names. ${again}`,
};
const broken: Trouble = {
  verdict: 'attempt',
  code: 'database_failed',
  remedy: `Look into the server's log. ${again}`,
};
const refused: Trouble = {
  verdict: 'person',
  code: 'database_refused',
  remedy: "Mend what the message names in the sink's user, password, database and tls, or in pg_hba.conf.",
};
const forbidden: Trouble = {
  verdict: 'person',
  code: 'database_unprepared',
  remedy: 'Grant what the message names; docs/postgres.md lists all that the exporter needs.',
};
const unfit: Trouble = {
  verdict: 'person',
  code: 'target_unfit',
  remedy: 'Make the table take these rows: docs/postgres.md says what its columns, constraints and partitions must be.',
};
const corrupt: Trouble = {
  verdict: 'person',
  code: 'database_corrupt',
  remedy: "The server's own data is damaged: restore it before anything is exported. The queue keeps every answer.",
};

/**
 * By SQLSTATE: five characters, or the first two for a whole class; the longer one counts. What is not here is
 * `database_failed`, for a new attempt: an export that waits is better than one that is given up in silence.
 * Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const states: Readonly<Record<string, Trouble>> = {
  // Connections: lost, refused for now, or ended by an administrator, a crash or one of the server's timeouts.
  '08': unreachable,
  '57P01': unreachable,
  '57P02': unreachable,
  '57P03': unreachable,
  '57P05': unreachable,
  '25P03': unreachable,
  '25P04': unreachable,
  '53300': unreachable,
  // A standby, or a server that is being switched over: the primary may be back at the next attempt.
  '25006': { ...broken, remedy: `The server takes no writes: name the primary in the sink's host. ${again}` },
  // Somebody else was faster, or holds a lock. Nothing was changed.
  '40001': locked,
  '40P01': locked,
  '55P03': locked,
  // No room: disk, memory, a limit of the server.
  '53': full,
  '54': full,
  // The server's machine: an input or output error; a query that was cancelled.
  '58': broken,
  '57': broken,
  // Damaged pages or indexes.
  XX001: corrupt,
  XX002: corrupt,
  // Who we are, and where to.
  '28': refused,
  '3D': refused,
  // Rights, and schemas that are not there.
  '42501': forbidden,
  '3F': forbidden,
  // Rows that the table does not take: a constraint, a partition that is missing, a value that does not fit.
  '22': unfit,
  '23': unfit,
  '44': unfit,
};

/** By the code that Node gives to errors of sockets and TLS. */
const nodeCodes: Readonly<Record<string, Trouble>> = {
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  ECONNABORTED: unreachable,
  EPIPE: unreachable,
  ETIMEDOUT: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  EHOSTDOWN: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  // The file of a Unix socket.
  ENOENT: unreachable,
  EACCES: refused,
};

/** Certificates, by the codes of OpenSSL's verification (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const ofTls = /^ERR_(TLS|SSL)|CERT|UNABLE_TO|SIGNATURE|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH_EXCEEDED/;

/** The driver's own errors have no code. */
const driverTexts: readonly (readonly [RegExp, Trouble])[] = [
  [/^Connection terminated|not queryable|timeout expired/, unreachable],
  [/does not support SSL|establishing an SSL connection/, refused],
  [/^SASL|SCRAM|password must be/i, refused],
];

/** Pure: what an error means. */
export function postgresTrouble(error: unknown): Trouble {
  const { code, message = '' } = (error ?? {}) as { code?: unknown; message?: string };
  if (typeof code === 'string') {
    const known =
      states[code] ?? nodeCodes[code] ?? (/^[0-9A-Z]{5}$/.test(code) ? states[code.slice(0, 2)] : undefined);
    if (known) return known;
    if (ofTls.test(code)) return refused;
  }
  return driverTexts.find(([text]) => text.test(message))?.[1] ?? broken;
}

/** True when the same step may work in a moment. A Problem is a judgement already. */
export function mayRetry(error: unknown): boolean {
  return !isProblem(error) && postgresTrouble(error).verdict === 'retry';
}

/**
 * Any error as a Problem. Only the first line of what the server said and its SQLSTATE are told: its details may quote
 * the rows.
 */
export function sinkProblem(error: unknown): Problem {
  if (isProblem(error)) return error;
  const { code, remedy } = postgresTrouble(error);
  const { code: state, message } = (error ?? {}) as { code?: unknown; message?: string };
  const said = `PostgreSQL: ${message || String(error)}${typeof state === 'string' ? ` (${state})` : ''}`;
  return problem(code, said, remedy, { cause: error });
}

/** For counting: the SQLSTATE, Node's code, or where there is neither what the error is judged to be. */
export function troubleCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code.slice(0, 64) : postgresTrouble(error).code;
}

/** The SQLSTATE of an error, or null. */
export function stateOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}
