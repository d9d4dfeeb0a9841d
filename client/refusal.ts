import { type Problem, problem } from '#queue/problem.ts';

/** What the server can refuse, in words for people. Codes are the wire's (docs: wire protocol, "Errors"). */
const refusals = {
  late: ['the deadline is over', 'Ask the proctor for more time; the answers stay in the outbox until then.'],
  finished: ['this student has finished the exam', 'Nothing can be added after Finish.'],
  sealed: ['the exam is closed for everybody', 'Hand in the outbox if an answer in it still matters.'],
  quota: [
    'the limit of answers or of devices is reached',
    'Ask the proctor; answers that are stored stay in the outbox.',
  ],
  forked: [
    'the server holds other answers under the same numbers: this outbox was copied, or lost its end',
    'Keep this outbox as evidence and go on with a new one.',
  ],
  unverified: ['the server cannot compare a repeated answer', 'The client tries again by itself.'],
  unavailable: ['the server cannot store answers for the moment', 'The client tries again by itself.'],
  full: ['the server has no room for the moment', 'The client tries again by itself.'],
} as const satisfies Record<string, readonly [string, string]>;

/** The Problem for an error text of the server. Its code is the text up to a colon (`gap:7` is `gap`). */
export function refusalProblem(error: string): Problem {
  const code = /^[a-z][a-z0-9_]*(?=:|$)/.exec(error)?.[0] ?? 'refused';
  const known: readonly [string, string] | undefined = refusals[code as keyof typeof refusals];
  return problem(
    code,
    known ? known[0] : `the server refused: ${error}`,
    known ? known[1] : 'See the documentation of the wire protocol, "Errors".',
  );
}
