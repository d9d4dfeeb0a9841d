/** The problems of a client in one table: what an application shows or tests by `code`. */
import { type Problem, problem } from '#queue/problem.ts';

export function forked(): Problem {
  return problem(
    'forked',
    'the server holds other answers under the numbers of this outbox: it was copied, or lost its end',
    'Keep this outbox as evidence, and go on with a new one.',
  );
}

export function serverLostData(told: number, has: number): Problem {
  return problem(
    'server_lost_data',
    `the server has ${has} answers, and had confirmed ${told}`,
    'Everything from there is being sent again from this outbox. Tell the proctor: the server needs a look.',
  );
}

export function refilling(told: number, has: number): Problem {
  return problem(
    'refilling',
    `the server began anew with ${has} answers of ${told}`,
    'Nothing to do: the rest is being sent again from this outbox.',
  );
}

export function unsentAtVerified(durable: number, last: number): Problem {
  return problem(
    'unsent_at_verified',
    `the session is closed and verified with ${durable} of ${last} answers of this outbox`,
    'The outbox keeps all of them: hand it in if they still matter.',
  );
}

export function superseded(): Problem {
  return problem(
    'superseded',
    'this student went on with another device',
    'Answers of this device stay in its outbox. Call open() to take over again.',
  );
}

export function clientClosed(): Problem {
  return problem('client_closed', 'the client was closed', 'Make another one on the same outbox.');
}

export function finishing(): Problem {
  return problem('finishing', 'the exam is being finished, or is', 'Submit before finish().');
}

export function sessionOver(): Problem {
  return problem('verified', 'the session is closed and verified', 'There is nothing left to do.');
}

export function noSuchEvent(seq: number): Problem {
  return problem('no_such_event', `there is no event ${seq}`, 'Ask for a number that submit() gave.');
}

export function disconnected(how: string): Problem {
  return problem('disconnected', `not connected: ${how}`, 'The client connects again by itself; answers are kept.');
}

export function takenBack(seq: number): Problem {
  return problem(
    'taken_back',
    `the server wants answer ${seq} again, which it had confirmed`,
    'The client connects again and compares; if the server lost data, an alarm says so.',
  );
}

export function unreadable(what: unknown): Problem {
  return problem(
    'protocol',
    `the server said ${JSON.stringify(what)?.slice(0, 100)}, which this client does not understand`,
    'Check that the address leads to an Untradex gateway, and that client and gateway have the same version.',
  );
}

export function refusedTooOften(times: number, words: string): Problem {
  return /token|HTTP 401/.test(words)
    ? problem(
        'token_refused',
        `the server refused the token ${times} times: ${words}`,
        'Sign in again and call open(); everything is still in the outbox.',
      )
    : problem(
        'connection_refused',
        `the server refused this client ${times} times: ${words}`,
        'Ask whoever runs the exam, then call open(); everything is still in the outbox.',
      );
}
