import { type Problem, problem } from './problem.ts';

/**
 * Reads the answer of a script: the word it begins with, and what follows, all texts. `foreign` is thrown: the Redis
 * behind a checked connection is not what it was. Anything but a list of texts is Problem `reply_unknown`.
 */
export function readReply(reply: unknown): [word: string, ...rest: string[]] {
  if (!Array.isArray(reply) || reply.length === 0 || !reply.every((part) => typeof part === 'string')) {
    throw unknownReply(reply);
  }
  const [word, ...rest] = reply as [string, ...string[]];
  if (word === 'foreign') throw foreign(rest[0] ?? '');
  return [word, ...rest];
}

/** The answer of a script that the protocol does not know. */
export function unknownReply(reply: unknown): Problem {
  return problem(
    'reply_unknown',
    `a script answered ${JSON.stringify(reply)?.slice(0, 200)}`,
    'This is a defect, or this program and its scripts are not of one version: nothing was repeated; restart it.',
  );
}

function foreign(what: string): Problem {
  return problem(
    'shard_foreign',
    what === 'empty' ? 'this Redis is empty: it was a shard before' : `this Redis is another one: its ${what} differs`,
    'Correct the address of the shard, or attach the volume that belongs to it.',
  );
}
