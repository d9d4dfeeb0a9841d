import { createHash } from 'node:crypto';
import { keys } from './keys.ts';

/** The accounts of a shard, one a kind of program. Redis's own `default` is switched off: {@link defaultUser}. */
export const aclUsers = ['gateway', 'exporter', 'operator'] as const;
export type AclUser = (typeof aclUsers)[number];

/** What every connection does, whoever it is: to be checked, loaded with the scripts, and watched. */
const connecting = ['+ping', '+info', '+time', '+client|setname', '+client|id', '+config|get', '+script|load'];

/** Reading, also in one transaction. No KEYS, SCAN or SORT: every key is known. */
const reading = [
  ...['+get', '+exists', '+type', '+dbsize', '+multi', '+exec', '+discard'],
  ...['+hget', '+hmget', '+hgetall', '+hexists', '+hlen', '+hstrlen', '+hscan'],
  ...['+xrange', '+xrevrange', '+xread', '+xlen', '+xinfo|stream'],
];

/** A selector of Redis 7: these commands, on these keys, and nothing of it together with the other rules. */
function only(commands: string[], on: string[]): string {
  return `(${[...commands, ...on.map((key) => `~${key}`)].join(' ')})`;
}

/**
 * Commands within a script need the caller's rights as well, each on its own keys; EVALSHA itself is judged by the
 * keys that it declares, all of them together, and so it gets every key and nothing else.
 */
const calling = only(['+evalsha'], ['*']);

/** SET destroys a key of any type, so it is allowed on the one key that nothing depends on. */
const touching = only(['+set'], [keys.barrier]);

/**
 * Redis's own account: off and without a password, so nobody can be it, yet with every right. Redis loads its
 * append-only file as this user, and what a script wrote stands there as a transaction, whose EXEC asks for rights: with
 * fewer, a restarted Redis would skip the answers, warn in its log, and serve without them.
 */
const defaultUser = 'user default off resetpass allkeys allchannels +@all';

const writing: Readonly<Record<AclUser, readonly string[]>> = {
  gateway: [
    only(['+hset'], [keys.state, keys.writers, keys.students, keys.finished]),
    only(['+xadd'], [keys.events, keys.audit]),
  ],
  exporter: [],
  operator: [
    only(['+hset', '+hdel'], [keys.meta, keys.session, keys.deadlines, keys.state]),
    only(['+xadd'], [keys.events, keys.audit]),
  ],
};

/**
 * The text of Redis's `aclfile`: who may do what, the least that lets PROTOCOL.md work. Nobody may delete, trim, flush,
 * configure, debug, replicate, shut down, or load functions and modules.
 *
 * What rules cannot say: XADD may trim by its own arguments and HSET may overwrite, so a stolen account could still do
 * harm. The export then fails at the witness or the digests: harm is found, not prevented.
 * @param passwordHashes from {@link passwordHash}, for each account
 */
export function aclFile(passwordHashes: Readonly<Record<AclUser, string>>): string {
  const users = aclUsers.map((user) => {
    const rules = [...connecting, ...reading, '%R~*', calling, touching, ...writing[user]];
    return `user ${user} on #${checkedHash(user, passwordHashes[user])} resetchannels -@all ${rules.join(' ')}`;
  });
  return [defaultUser, ...users, ''].join('\n');
}

/**
 * SHA-256 of a password, 64 hex digits, as Redis keeps it. A fast hash is enough only for long random passwords: make
 * 32 random bytes, never take a person's.
 */
export function passwordHash(password: string): string {
  return createHash('sha256').update(password).digest('hex');
}

/** A hash with a space in it would become further rules. */
function checkedHash(user: AclUser, hash: string): string {
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new RangeError(`the password hash of ${user} is not SHA-256 in hex`);
  return hash;
}
