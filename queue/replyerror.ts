import { isProblem, type Problem, problem } from './problem.ts';

/**
 * What follows from an error of Redis or of the connection to it.
 * - `reconnect`: the connection is gone or of no use; the same again on a new one
 * - `retry`: this Redis cannot now (it loads, it is busy, its disk or memory is full); the same again later
 * - `refused`: this Redis does not let us; a person may mend it, so ask again slowly
 * - `broken`: nobody knows what happened, so nothing may be repeated
 */
export type Verdict = 'reconnect' | 'retry' | 'refused' | 'broken';

/** By the first word of an error reply (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors). */
const verdicts: Readonly<Record<string, Verdict>> = {
  LOADING: 'retry',
  BUSY: 'retry',
  NOSCRIPT: 'retry',
  TRYAGAIN: 'retry',
  MASTERDOWN: 'retry',
  MISCONF: 'retry',
  OOM: 'retry',
  READONLY: 'retry',
  WRONGPASS: 'refused',
  NOAUTH: 'refused',
  NOPERM: 'refused',
  DENIED: 'refused',
};

/** Replies without a word of their own, by how they begin. */
const sentences: readonly (readonly [start: string, verdict: Verdict])[] = [
  ['ERR max number of clients reached', 'reconnect'],
  ['ERR AUTH', 'refused'],
  ['ERR invalid password', 'refused'],
  ['ERR Client sent AUTH', 'refused'],
];

/** Codes of OpenSSL and Node for a certificate that does not do: waiting does not mend it. */
const certificate = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|EPROTO)/;

/** What ioredis says, without a code, when a connection ends under a command. */
const connectionEnds = /^(Connection is closed|Stream isn't writeable|Command aborted|Socket timeout|Protocol error)/;

/** Judges what a command, or connecting, was rejected with. */
export function verdictOf(error: unknown): Verdict {
  if (!(error instanceof Error)) return 'broken';
  if (error.name === 'ReplyError') return verdictOfReply(error.message);
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined) return connectionEnds.test(error.message) ? 'reconnect' : 'broken';
  if (certificate.test(code)) return 'refused';
  return ownCodes[code] ?? (systemError.test(code) ? 'reconnect' : 'broken');
}

/** Codes of the system and of Node's net and dns: ECONNRESET, EPIPE, ENOTFOUND, EAI_AGAIN ... */
const systemError = /^E[A-Z0-9_]+$/;

/** Codes of Problems that connecting and running make. */
const ownCodes: Readonly<Record<string, Verdict>> = {
  shard_unreachable: 'reconnect',
  shard_timeout: 'reconnect',
  shard_not_ready: 'reconnect',
  shard_busy: 'retry',
  shard_access: 'refused',
  shard_foreign: 'refused',
  shard_config: 'refused',
};

function verdictOfReply(message: string): Verdict {
  const word = message.slice(0, message.search(/ |$/));
  return verdicts[word] ?? sentences.find(([start]) => message.startsWith(start))?.[1] ?? 'broken';
}

const problems: Readonly<Record<Verdict, readonly [code: string, remedy: string]>> = {
  reconnect: ['shard_unreachable', 'It is tried again: see that the Redis of this shard runs and can be reached.'],
  retry: ['shard_busy', 'It is tried again: see whether its disk or memory is full, or whether it still loads.'],
  refused: ['shard_access', 'Mend the account, the password file or the certificate of this program at this Redis.'],
  broken: ['shard_error', 'Nothing is repeated after an unknown error: read the message, then restart this program.'],
};

/** The same error as a Problem that says what to do; the verdict on it stays what it was. */
export function asProblem(error: unknown): Problem {
  if (isProblem(error)) return error;
  // ioredis notes the command and its arguments on the error: passwords, whole batches. Nobody is to log those.
  if (error instanceof Error && 'command' in error) delete error.command;
  const [code, remedy] = problems[verdictOf(error)];
  return problem(code, `Redis: ${error instanceof Error ? error.message : String(error)}`, remedy, { cause: error });
}
