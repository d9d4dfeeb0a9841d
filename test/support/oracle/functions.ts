import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { columnType, momentOf, stored, type Value } from './columntypes.ts';
import { oraError } from './oraerror.ts';

/** Who runs the statement that is running: SQLite runs one at a time. */
export interface Caller {
  readonly id: number;
  readonly user: string;
  readonly schema: string;
  readonly zoneMinutes: number;
}

/** Oracle's functions that SQLite lacks, and `stored_as`, which makes a value fit a column. */
export function addFunctions(sqlite: DatabaseSync, caller: () => Caller): void {
  const add = (name: string, body: (...values: Value[]) => Value, deterministic = true) =>
    sqlite.function(
      name,
      { varargs: true, deterministic, useBigIntArguments: true },
      (...values: unknown[]) => body(...(values as Value[])) as SQLInputValue,
    );
  add(
    'stored_as',
    (value, type, column) => stored(value!, columnType(String(type))!, String(column), caller().zoneMinutes),
    false,
  );
  add('systimestamp', () => momentOf(Date.now()), false);
  add('localtime_of_session', () => momentOf(Date.now() + caller().zoneMinutes * 60_000).slice(0, -1), false);
  add('session_user', () => caller().user, false);
  add('sys_extract_utc', (moment) => (moment === null ? null : String(moment).slice(0, 29)));
  add('sys_context', (_space, name) => context(String(name).toUpperCase(), caller()), false);
  add('to_char', (value, format) => {
    if (value === null || format === undefined) return value === null ? null : String(value);
    return formatted(String(value), String(format));
  });
  add('moved_by', (time, count, unit) => (count === null ? null : movedBy(String(time), Number(count), String(unit))));
}

/** A time in a format of these elements. */
function formatted(time: string, format: string): string {
  const parts: Readonly<Record<string, string>> = {
    ...{ YYYY: time.slice(0, 4), MM: time.slice(5, 7), DD: time.slice(8, 10) },
    ...{ HH24: time.slice(11, 13), MI: time.slice(14, 16), SS: time.slice(17, 19) },
  };
  return format.replace(/"([^"]*)"|YYYY|MM|DD|HH24|MI|SS|FF([1-9])/g, (element, quoted, digits) =>
    quoted !== undefined ? quoted : digits === undefined ? parts[element]! : time.slice(20, 20 + Number(digits)),
  );
}

/** A time and an interval, to the millisecond: what SQLite computes has no more. */
function movedBy(time: string, count: number, unit: string): string {
  const seconds = { DAY: 86_400, HOUR: 3_600, MINUTE: 60, SECOND: 1 }[unit];
  if (seconds === undefined) throw oraError(1760);
  const from = Date.parse(`${time.slice(0, 10)}T${time.slice(11, 23)}Z`);
  return momentOf(from + Math.round(count * seconds * 1_000)).slice(0, -1);
}

function context(name: string, { id, user, schema }: Caller): Value {
  const known: Readonly<Record<string, string>> = {
    SESSION_USER: user,
    CURRENT_USER: user,
    CURRENT_SCHEMA: schema,
    SESSIONID: String(id),
    SID: String(id),
    DB_NAME: 'EXAMS',
    SERVICE_NAME: 'EXAMS',
    INSTANCE_NAME: 'exams',
    SERVER_HOST: 'localhost',
  };
  return known[name] ?? null;
}
