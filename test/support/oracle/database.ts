import { DatabaseSync } from 'node:sqlite';
import type { Value } from './columntypes.ts';
import { defaultFacts, dictionaryView, type Facts } from './dictionary.ts';
import { addFunctions } from './functions.ts';
import { oraError } from './oraerror.ts';
import type { Name, Resolve } from './sqltext.ts';
import { type Table, visible } from './tables.ts';
import { endTransaction, type Session } from './transactions.ts';

/** What survives a server: the committed rows and the dictionary; and who is at work on them. */
export interface Database {
  readonly sqlite: DatabaseSync;
  facts: Facts;
  /** By OWNER.NAME. */
  readonly tables: Map<string, Table>;
  readonly sessions: Map<number, Session>;
  /** Passwords by user; the users are the schemas. */
  readonly users: Map<string, string>;
  nextId: number;
  /** Whose statement runs now. */
  caller: Session | null;
}

/** @param file where SQLite keeps it meanwhile, for more than memory holds; it is not read again */
export function createDatabase(facts: Partial<Facts>, file = ':memory:'): Database {
  const database: Database = {
    sqlite: new DatabaseSync(file),
    facts: { ...defaultFacts, ...facts },
    ...{ tables: new Map(), sessions: new Map(), users: new Map(), nextId: 1, caller: null },
  };
  database.sqlite.exec('PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF');
  addFunctions(database.sqlite, () => database.caller!);
  return database;
}

export function openSession(database: Database, user: string, zoneMinutes: number): Session {
  const session: Session = {
    ...{ id: database.nextId++, user, schema: user, zoneMinutes },
    ...{ touched: new Set(), appended: new Set(), locks: new Map(), whenEnded: new Set() },
    ...{ waitsFor: null, interrupt: null, gone: false },
  };
  database.sessions.set(session.id, session);
  return session;
}

/** As when its connection is lost: what is not committed is rolled back. */
export function closeSession(database: Database, session: Session): void {
  if (session.gone) return;
  session.gone = true;
  session.interrupt?.(oraError(1012));
  database.sessions.delete(session.id);
  endTransaction(database.sqlite, session, false);
}

export function findTable(database: Database, session: Session, { schema, name }: Name): Table | null {
  return database.tables.get(`${schema ?? session.schema}.${name}`) ?? null;
}

/** ORA-00942 when there is none, ORA-12838 when this transaction has appended to it. */
export function tableFor(database: Database, session: Session, name: Name): Table {
  const table = findTable(database, session, name);
  if (table === null) throw oraError(942);
  if (session.appended.has(table)) throw oraError(12838);
  return table;
}

/** Tables as the session sees them, and the dictionary. @param hidden the table whose rows' numbers are wanted as well */
export function resolver(database: Database, session: Session, hidden?: Table): Resolve {
  return ({ schema, name }) => {
    const table = findTable(database, session, { schema, name });
    if (table !== null) {
      if (session.appended.has(table)) throw oraError(12838);
      const alias = schema === null ? name : `${schema}.${name}`;
      return { alias, query: visible(table, session.id, table === hidden) };
    }
    const query = schema === null || schema === 'SYS' ? dictionaryView(name, database, session) : null;
    return query === null ? null : { alias: name, query };
  };
}

export type Binds = Record<string, Value>;

export function bindsOf(row: readonly Value[] | undefined): Binds {
  return Object.fromEntries((row ?? []).map((value, i) => [`b${i + 1}`, value]));
}
