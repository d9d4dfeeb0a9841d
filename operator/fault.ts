import { isProblem } from '#queue/problem.ts';
import type { Fault } from './platform.ts';

/** The words of an error, to be kept in a status or a file. */
export function faultOf(error: unknown): Fault {
  if (isProblem(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unexpected', message, remedy: 'This should not happen: please report it, with the log.' };
}
