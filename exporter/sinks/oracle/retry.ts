import { isProblem, type Problem, problem } from '#queue/problem.ts';
import { codeOf, errorClassOf } from './errors.ts';

/** True when the same step may work in a moment. A Problem is a judgement already. */
export function mayRetry(error: unknown): boolean {
  return !isProblem(error) && errorClassOf(error).verdict === 'retry';
}

/**
 * Any error as a Problem. What Oracle said is told without its links and without what may quote rows; a statement
 * that mends it stands in the remedy where the message names what it needs.
 * @param doing what was done when it came, in words
 */
export function sinkProblem(error: unknown, user: string, doing: string | null = null): Problem {
  if (isProblem(error)) return error;
  const { code, remedy, sql } = errorClassOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const known = codeOf(error);
  const said = saidBy(message, known);
  const coded = known === null || said.includes(known) ? said : `${said} (${known})`;
  const mend = sql?.(`${known ?? ''} ${message}`, user.toUpperCase()) ?? null;
  return problem(
    code,
    `Oracle: ${doing === null ? '' : `${doing}: `}${coded}`,
    mend === null ? remedy : `${remedy} For example, as an administrator: ${mend};`,
    { cause: error },
  );
}

/** The line of a message that says it: the one with the code, else the first. Never a line that quotes values. */
function saidBy(message: string, code: string | null): string {
  const lines = message.split('\n').filter((line) => !/^Help: |ORA-03301/.test(line));
  return (lines.find((line) => code !== null && line.startsWith(code)) ?? lines[0] ?? '').trim();
}
