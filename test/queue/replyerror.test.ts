import { expect, test } from 'vitest';
import { problem } from '#queue/problem.ts';
import { asProblem, type Verdict, verdictOf } from '#queue/replyerror.ts';

function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' });
}

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code });
}

const cases: readonly (readonly [Verdict, Error])[] = [
  ['retry', reply('LOADING Redis is loading the dataset in memory')],
  ['retry', reply('BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.')],
  ['retry', reply('NOSCRIPT No matching script. Please use EVAL.')],
  ['retry', reply('MISCONF Errors writing to the AOF file: No space left on device')],
  ['retry', reply("OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:100.")],
  ['retry', reply("READONLY You can't write against a read only replica.")],
  ['refused', reply('WRONGPASS invalid username-password pair or user is disabled.')],
  ['refused', reply('NOAUTH Authentication required.')],
  ['refused', reply("NOPERM User gateway has no permissions to run the 'xadd' command")],
  ['refused', reply('ERR AUTH <password> called without any password configured for the default user.')],
  ['reconnect', reply('ERR max number of clients reached')],
  ['broken', reply('ERR user_script:7: attempt to index a nil value script: 1f, on @user_script:7.')],
  ['broken', reply('WRONGTYPE Operation against a key holding the wrong kind of value')],
  ['broken', reply('LIMIT a batch of 1048577 bytes, 1 writers, 1 events')],
  ['broken', reply('ERR')],
  ['reconnect', systemError('ECONNREFUSED')],
  ['reconnect', systemError('ECONNRESET')],
  ['reconnect', systemError('EAI_AGAIN')],
  ['reconnect', new Error('Connection is closed.')],
  ['reconnect', new Error("Stream isn't writeable and enableOfflineQueue options is false")],
  ['refused', systemError('DEPTH_ZERO_SELF_SIGNED_CERT')],
  ['refused', systemError('ERR_TLS_CERT_ALTNAME_INVALID')],
  ['refused', systemError('UNABLE_TO_VERIFY_LEAF_SIGNATURE')],
  ['broken', new TypeError('x is not a function')],
  ['broken', problem('reply_unknown', 'a script answered 7', 'Restart it.')],
];

test.each(cases)('%s: %s', (verdict, error) => {
  expect(verdictOf(error)).toBe(verdict);
  const known = asProblem(error);
  expect(known.remedy).not.toBe('');
  expect(known.message).toContain(error.message);
  // A verdict survives the translation, so callers further out decide the same.
  expect(verdictOf(known)).toBe(verdict);
});

test('what is no error at all is nothing to repeat', () => {
  expect(verdictOf('oops')).toBe('broken');
  expect(asProblem(undefined).code).toBe('shard_error');
});
