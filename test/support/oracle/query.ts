import type { StatementSync } from 'node:sqlite';
import { type ColumnType, columnType, isTime, mostTextBytes, type Value } from './columntypes.ts';
import { type Binds, type Database, resolver } from './database.ts';
import { type Token, translate, withTables } from './sqltext.ts';
import { quoted } from './tables.ts';
import type { Session } from './transactions.ts';

/** What a query gives: as it was when the query began, whatever happens while it is read. */
export interface Cursor {
  readonly columns: readonly ResultColumn[];
  /** Up to so many rows; none at the end. */
  read(count: number): Value[][];
  close(): void;
}

export interface ResultColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
}

/** Results above this are put aside in a temporary table. */
const mostInMemory = 5_000;

export function prepared(database: Database, sql: string): StatementSync {
  const statement = database.sqlite.prepare(sql);
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  statement.setAllowUnknownNamedParameters(true);
  return statement;
}

export function select(
  database: Database,
  session: Session,
  tokens: readonly Token[],
  binds: Binds | undefined,
): Cursor {
  database.caller = session;
  const translated = translate(tokens, resolver(database, session));
  const sql = withTables(translated);
  const statement = prepared(database, sql);
  const rows: Value[][] = [];
  let more = false;
  for (const row of statement.iterate(binds ?? {})) {
    more = rows.push(row as unknown as Value[]) > mostInMemory;
    if (more) break;
  }
  const columns = columnsOf(database, statement, rows);
  return more ? aside(database, sql, binds ?? {}, columns) : inMemory(rows, columns);
}

function inMemory(rows: Value[][], columns: readonly ResultColumn[]): Cursor {
  let at = 0;
  return {
    columns,
    read(count) {
      at += count;
      return rows.slice(at - count, at);
    },
    close: () => {
      rows.length = 0;
    },
  };
}

function aside(database: Database, sql: string, binds: Binds, columns: readonly ResultColumn[]): Cursor {
  const name = `temp.${quoted(`result ${database.nextId++}`)}`;
  prepared(database, `CREATE TEMP TABLE ${name.slice(5)} AS ${sql}`).run(binds);
  const page = prepared(database, `SELECT * FROM ${name} WHERE rowid > ? ORDER BY rowid LIMIT ?`);
  let at = 0;
  return {
    columns,
    read(count) {
      const rows = page.all(at, count) as unknown as Value[][];
      at += rows.length;
      return rows;
    },
    close: () => database.sqlite.exec(`DROP TABLE IF EXISTS ${name}`),
  };
}

function columnsOf(database: Database, statement: StatementSync, rows: readonly Value[][]): ResultColumn[] {
  return statement.columns().map(({ name, type, table, column }, i) => {
    const declared = type === null ? null : columnType(type);
    const origin = table === null ? undefined : database.tables.get(table)?.columns.find((one) => one.name === column);
    const shown = /^[\w$#]+$/.test(name) ? name : name.replaceAll(' ', '').toUpperCase();
    return { name: shown, type: declared ?? guessed(rows, i), nullable: origin?.nullable ?? true };
  });
}

/** Of an expression, by its first value that is not null. */
function guessed(rows: readonly Value[][], column: number): ColumnType {
  const value = rows.find((row) => row[column] !== null)?.[column];
  if (typeof value === 'bigint' || typeof value === 'number') return columnType('NUMBER')!;
  if (value instanceof Uint8Array) return columnType('RAW(2000)')!;
  if (typeof value === 'string') {
    if (isTime(value)) return columnType(value.endsWith('Z') ? 'TIMESTAMP(9) WITH TIME ZONE' : 'TIMESTAMP(9)')!;
    const longest = rows.reduce((most, row) => Math.max(most, Buffer.byteLength(String(row[column] ?? ''))), 0);
    if (longest > mostTextBytes) return columnType('CLOB')!;
  }
  return columnType(`VARCHAR2(${mostTextBytes})`)!;
}
