/** An error that a person can act on: what happened (`message`), a stable `code`, and what to do (`remedy`). */
export interface Problem extends Error {
  readonly code: string;
  readonly remedy: string;
}

/**
 * Makes a Problem.
 * @param code stable snake_case name; programs test it, documentation lists it
 * @param message what is wrong, with the value or field that is meant
 * @param remedy what to change, naming the field, option or command
 */
export function problem(code: string, message: string, remedy: string, options?: { cause?: unknown }): Problem {
  const error = new Error(message, options);
  error.name = 'Problem';
  return Object.assign(error, { code, remedy });
}

/** Tells whether `value` was made by {@link problem} (in this or another copy of this module). */
export function isProblem(value: unknown): value is Problem {
  return value instanceof Error && value.name === 'Problem' && 'code' in value && 'remedy' in value;
}
