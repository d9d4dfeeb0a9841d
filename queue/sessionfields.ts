import { sessionFields } from './keys.ts';
import { type Problem, problem } from './problem.ts';

/** The session's life as gateways see it. */
export const sessionPhases = ['Active', 'Draining', 'Exporting', 'Completed', 'Failed'] as const;
export type SessionPhase = (typeof sessionPhases)[number];

/** What becomes of an event after deadline and grace: refused, or kept with the late flag. */
export const latePolicies = ['Refuse', 'Mark'] as const;
export type LatePolicy = (typeof latePolicies)[number];

/** The hash `session`, typed. Times are ms since 1970. */
export interface SessionState {
  readonly phase: SessionPhase;
  /** When the exam ends for students without a deadline of their own; null: never. */
  readonly closesAt: number | null;
  readonly graceMs: number;
  readonly late: LatePolicy;
  /** When a draining session is sealed; null: not draining. */
  readonly drainUntil: number | null;
  /** The session's root in hex, once the export is verified. */
  readonly verified: string | null;
  /** An announcement to every student. */
  readonly notice: string | null;
  /** A rehearsal admits only synthetic students, any other session refuses them. */
  readonly rehearsal: boolean;
  /** The disk is above `limits.fullAt`: new events are refused before Redis itself fails. */
  readonly full: boolean;
  /** Changes whenever the hash `deadlines` does. */
  readonly deadlinesVersion: string;
}

/** How one value stands as text. `read` gives undefined for a text that is none; `write` likewise for a value. */
interface Form<T> {
  read(text: string): T | undefined;
  write(value: T): string | undefined;
}

const wholeNumber: Form<number> = {
  read: (text) =>
    /^(0|[1-9][0-9]{0,15})$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined,
  write: (value) => (Number.isSafeInteger(value) && value >= 0 ? String(value) : undefined),
};

const flag: Form<boolean> = {
  read: (text) => (text === '1' ? true : text === '0' || text === '' ? false : undefined),
  write: (value) => (value ? '1' : '0'),
};

const anyText: Form<string> = {
  read: (text) => text,
  write: (value) => (value.isWellFormed() ? value : undefined),
};

const root: Form<string> = {
  read: (text) => (/^[0-9a-f]{64}$/.test(text) ? text : undefined),
  write: (value) => root.read(value),
};

function oneOf<T extends string>(values: readonly T[]): Form<T> {
  return {
    read: (text) => values.find((value) => value === text),
    write: (value) => values.find((known) => known === value),
  };
}

/** Null is the empty text, so no field ever has to be deleted. */
function orNull<T>(form: Form<T>): Form<T | null> {
  return {
    read: (text) => (text === '' ? null : form.read(text)),
    write: (value) => (value === null ? '' : form.write(value)),
  };
}

const forms: { readonly [K in keyof SessionState]: Form<SessionState[K]> } = {
  phase: oneOf(sessionPhases),
  closesAt: orNull(wholeNumber),
  graceMs: wholeNumber,
  late: oneOf(latePolicies),
  drainUntil: orNull(wholeNumber),
  verified: orNull(root),
  notice: orNull(anyText),
  rehearsal: flag,
  full: flag,
  deadlinesVersion: anyText,
};

const names = Object.keys(sessionFields) as (keyof SessionState)[];

/**
 * The fields to HSET for what changes. A value that could not be read back is Problem `session_field_invalid`, and
 * nothing is returned. An empty notice is read back as null: both mean that there is none.
 */
export function sessionToFields(changes: Partial<SessionState>): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const name of names) {
    const value = changes[name];
    if (value === undefined) continue;
    const text = (forms[name] as Form<unknown>).write(value);
    if (text === undefined) throw invalid(name, String(value));
    fields[sessionFields[name]] = text;
  }
  return fields;
}

/**
 * Reads the answer of HGETALL. A missing field counts as empty; `phase`, `graceMs` and `late` cannot be, so an absent
 * hash is Problem `session_field_invalid` like any broken field: whoever polls keeps what it knew before.
 */
export function sessionFromFields(fields: Readonly<Record<string, string>>): SessionState {
  const state: Record<string, unknown> = {};
  for (const name of names) {
    const text = fields[sessionFields[name]] ?? '';
    const value = (forms[name] as Form<unknown>).read(text);
    if (value === undefined) throw invalid(name, text);
    state[name] = value;
  }
  return state as unknown as SessionState;
}

function invalid(name: string, value: string): Problem {
  return problem(
    'session_field_invalid',
    value === ''
      ? `the field ${name} of the hash "session" is missing`
      : `the field ${name} of the hash "session" cannot be "${value.slice(0, 100)}"`,
    'Only the operator writes this hash: let it write the session again, and find out who else did.',
  );
}
