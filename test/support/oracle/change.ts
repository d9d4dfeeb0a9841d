import type { Value } from './columntypes.ts';
import { type Binds, bindsOf, type Database, resolver, tableFor } from './database.ts';
import { columnOf } from './ddl.ts';
import { fromSqlite, isOraError, type OraError, oraError } from './oraerror.ts';
import { prepared } from './query.ts';
import { byCommas, type Token, type TokenReader, tokenReader, translate, withTables } from './sqltext.ts';
import { atomically, type Column, conflictOf, physical, quoted, type Table } from './tables.ts';
import { blocked, lockTable, patiently, type Session } from './transactions.ts';

export interface Changed {
  readonly count: number;
  readonly batchErrors: readonly { readonly offset: number; readonly error: OraError }[];
}

export async function update(
  database: Database,
  session: Session,
  reader: TokenReader,
  rows: readonly (readonly Value[])[],
): Promise<Changed> {
  const target = targetOf(database, session, reader);
  reader.expect('SET');
  const sets = byCommas(reader.until(({ kind, text }) => kind === 'word' && text === 'WHERE')).map((part) => {
    const set = tokenReader(part);
    const column = columnOf(target.table, set.identifier());
    set.expect('=');
    return { column, tokens: set.rest() };
  });
  return eachRow(session, rows, (binds) => {
    const numbers = hits(database, session, target, reader.rest(), binds);
    if (numbers.length > 0) replace(database, session, target, sets, numbers, binds);
    return numbers.length;
  });
}

export async function remove(
  database: Database,
  session: Session,
  reader: TokenReader,
  rows: readonly (readonly Value[])[],
): Promise<Changed> {
  reader.accept('FROM');
  const target = targetOf(database, session, reader);
  return eachRow(session, rows, (binds) => {
    const numbers = hits(database, session, target, reader.rest(), binds);
    if (numbers.length > 0) atomically(database.sqlite, () => bury(database, session, target.table, numbers));
    return numbers.length;
  });
}

async function eachRow(
  session: Session,
  rows: readonly (readonly Value[])[],
  step: (binds: Binds) => number,
): Promise<Changed> {
  let count = 0;
  for (const row of rows.length === 0 ? [[]] : rows) count += await patiently(session, null, () => step(bindsOf(row)));
  return { count, batchErrors: [] };
}

export interface Target {
  readonly table: Table;
  /** The table with its alias. */
  readonly from: readonly Token[];
}

function targetOf(database: Database, session: Session, reader: TokenReader): Target {
  const before = reader.rest();
  const table = tableFor(database, session, reader.name());
  const { kind, text } = reader.peek() ?? { kind: 'sign', text: '' };
  if ((kind === 'word' || kind === 'quoted') && text !== 'SET' && text !== 'WHERE') reader.next();
  return { table, from: before.slice(0, before.length - reader.rest().length) };
}

/** The numbers of the rows that a condition holds for; throws `blocked` while another session has one of them. */
export function hits(
  database: Database,
  session: Session,
  { table, from }: Target,
  where: readonly Token[],
  binds: Binds,
  skipHeld = false,
): bigint[] {
  lockTable(database.sessions, session, table, 'RX');
  checkIndexes(table, false);
  database.caller = session;
  const part = translate([...from, ...where], resolver(database, session, table));
  const found = prepared(database, withTables(part, 'SELECT _row, _dead, _held FROM ')).all(
    binds,
  ) as unknown as bigint[][];
  const numbers: bigint[] = [];
  for (const [row, dead, held] of found) {
    const other = [dead!, held!].find((id) => id !== 0n && id !== BigInt(session.id));
    const holder = other === undefined ? undefined : database.sessions.get(Number(other));
    if (holder === undefined) numbers.push(row!);
    else if (!skipHeld) throw blocked(holder);
  }
  return numbers;
}

export function among(numbers: readonly bigint[]): string {
  return `IN (SELECT value FROM json_each('[${numbers.join(',')}]'))`;
}

function bury(database: Database, session: Session, table: Table, numbers: readonly bigint[]): void {
  const which = `rowid ${among(numbers)}`;
  database.sqlite.exec(`DELETE FROM ${physical(table)} WHERE ${which} AND _born = ${session.id}`);
  database.sqlite.exec(`UPDATE ${physical(table)} SET _dead = ${session.id} WHERE ${which}`);
  session.touched.add(table);
}

function replace(
  database: Database,
  session: Session,
  { table, from }: Target,
  sets: readonly { readonly column: Column; readonly tokens: readonly Token[] }[],
  numbers: readonly bigint[],
  binds: Binds,
): void {
  const resolve = resolver(database, session, table);
  const parts = sets.map(({ tokens }) => translate(tokens, resolve));
  const source = translate(from, resolve);
  const values = table.columns.map((column) => {
    const i = sets.findIndex((set) => set.column === column);
    return i === -1
      ? quoted(column.name)
      : `stored_as((${parts[i]!.text}), '${column.type.text}', '${nameOf(table, column)}')`;
  });
  const names = table.columns.map(({ name }) => quoted(name));
  const lead = `INSERT INTO ${physical(table)} (${[...names, '_born'].join(', ')}) SELECT ${[...values, session.id].join(', ')} FROM ${source.text} WHERE _row ${among(numbers)}`;
  const tables = new Map([...source.tables, ...parts.flatMap((part) => [...part.tables])]);
  try {
    atomically(database.sqlite, () => {
      const before = lastRow(database, table);
      prepared(database, withTables({ text: '', tables }, lead)).run(binds);
      bury(database, session, table, numbers);
      checkUnique(database, session, table, before);
    });
  } catch (thrown) {
    const error = fromSqlite(thrown);
    if (isOraError(error) && error.ora === 1400) throw oraError(1407, error.message.slice(error.message.indexOf('(')));
    throw error;
  }
}

export function nameOf(table: Table, column: Column): string {
  return `"${table.owner}"."${table.name}"."${column.name}"`;
}

export function lastRow({ sqlite }: Database, table: Table): bigint {
  return BigInt(Number(sqlite.prepare(`SELECT ifnull(max(rowid), 0) AS last FROM ${physical(table)}`).get()!.last));
}

export function checkIndexes(table: Table, append: boolean): void {
  const broken = table.indexes.find(({ unique, usable }) => unique && !usable);
  if (broken !== undefined) throw oraError(append ? 26026 : 1502, `${broken.owner}.${broken.name}`);
}

export function checkUnique(database: Database, session: Session, table: Table, after: bigint): void {
  for (const index of table.indexes.filter(({ unique }) => unique)) {
    const conflict = conflictOf(database.sqlite, table, index, session.id, after);
    if (conflict === null) continue;
    const other = conflict.by === null ? undefined : database.sessions.get(conflict.by);
    if (other === undefined) throw oraError(1, `(${index.owner}.${index.name})`);
    throw blocked(other);
  }
}
