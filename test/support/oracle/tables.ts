import type { DatabaseSync } from 'node:sqlite';
import type { ColumnType } from './columntypes.ts';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  nullable: boolean;
  /** In SQLite's words. */
  readonly byDefault: string | null;
}

export interface Index {
  readonly owner: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
  /** False after a direct path load has put a key in twice. */
  usable: boolean;
}

export interface Constraint {
  readonly name: string;
  readonly kind: 'P' | 'U' | 'C';
  readonly columns: readonly string[];
  readonly index: string | null;
}

export interface Table {
  readonly owner: string;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly indexes: Index[];
  readonly constraints: Constraint[];
  logging: boolean;
  readonly tablespace: string;
  /** LIST, RANGE, HASH; null is not partitioned. */
  readonly partitioning: string | null;
  /** As of the last DBMS_STATS. */
  counted: bigint | null;
  gone: boolean;
}

// In SQLite a table has three columns more, each the number of a session or 0: who has inserted the row and not yet
// committed, who has deleted it and not yet committed, who holds it by SELECT FOR UPDATE. An update deletes and inserts.

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function physical(table: Table): string {
  return `main.${quoted(`${table.owner}.${table.name}`)}`;
}

export function makePhysical(sqlite: DatabaseSync, table: Table): void {
  const columns = table.columns.map(({ name, type, nullable }) => {
    const collate = type.name === 'CHAR' ? ' COLLATE RTRIM' : '';
    return `${quoted(name)} ${quoted(type.text)}${nullable ? '' : ' NOT NULL'}${collate}`;
  });
  const hidden = ['_born', '_dead', '_held'].map((name) => `${name} INTEGER NOT NULL DEFAULT 0`);
  sqlite.exec(`CREATE TABLE ${physical(table)} (${[...columns, ...hidden].join(', ')})`);
  for (const name of ['_born', '_dead', '_held']) {
    const index = quoted(`${table.owner}.${table.name}.${name}`);
    sqlite.exec(`CREATE INDEX ${index} ON ${quoted(`${table.owner}.${table.name}`)} (${name}) WHERE ${name} <> 0`);
  }
}

export function addIndex(sqlite: DatabaseSync, table: Table, index: Index): void {
  const columns = index.columns.map(quoted).join(', ');
  const name = quoted(`${index.owner}.${index.name}`);
  sqlite.exec(`CREATE INDEX ${name} ON ${quoted(`${table.owner}.${table.name}`)} (${columns})`);
  table.indexes.push(index);
}

export function removeIndex(sqlite: DatabaseSync, table: Table, index: Index): void {
  sqlite.exec(`DROP INDEX ${quoted(`${index.owner}.${index.name}`)}`);
  table.indexes.splice(table.indexes.indexOf(index), 1);
}

/** What a session sees of a table. `hidden`: with our columns and the row's number. */
export function visible(table: Table, session: number, hidden = false): string {
  const columns = table.columns.map(({ name }) => quoted(name));
  if (hidden) columns.push('rowid AS _row', '_born', '_dead', '_held');
  return `SELECT ${columns.join(', ')} FROM ${physical(table)} WHERE _born IN (0, ${session}) AND _dead <> ${session}`;
}

export interface Conflict {
  /** Of the session whose open transaction decides it; null: there is a second row for certain. */
  readonly by: number | null;
}

/**
 * Whether a row of the session with a number above `after` has the key of another row. A key of which every column is
 * null is none.
 */
export function conflictOf(
  sqlite: DatabaseSync,
  table: Table,
  index: Index,
  session: number,
  after: bigint,
): Conflict | null {
  const same = index.columns.map((name) => `o.${quoted(name)} IS n.${quoted(name)}`).join(' AND ');
  const some = index.columns.map((name) => `n.${quoted(name)} IS NOT NULL`).join(' OR ');
  const row = sqlite
    .prepare(
      `SELECT CASE WHEN o._born NOT IN (0, ${session}) THEN o._born ELSE o._dead END AS other
       FROM ${physical(table)} n CROSS JOIN ${physical(table)} o ON ${same} AND o.rowid <> n.rowid
       WHERE n.rowid > ${after} AND n._born <> 0 AND n._born = ${session} AND n._dead <> ${session} AND (${some}) AND o._dead <> ${session}
       ORDER BY other LIMIT 1`,
    )
    .get();
  if (row === undefined) return null;
  return { by: row.other === 0 ? null : Number(row.other) };
}

/** Whether committed rows, or the session's own, have a key twice. */
export function hasDoubles(sqlite: DatabaseSync, table: Table, columns: readonly string[], session: number): boolean {
  const keys = columns.map(quoted);
  const some = keys.map((key) => `${key} IS NOT NULL`).join(' OR ');
  const query = `SELECT 1 FROM (${visible(table, session)}) WHERE ${some} GROUP BY ${keys.join(', ')} HAVING count(*) > 1 LIMIT 1`;
  return sqlite.prepare(query).get() !== undefined;
}

/** Everything or nothing. */
export function atomically<T>(sqlite: DatabaseSync, work: () => T): T {
  sqlite.exec('SAVEPOINT statement');
  try {
    const value = work();
    sqlite.exec('RELEASE statement');
    return value;
  } catch (error) {
    sqlite.exec('ROLLBACK TO statement; RELEASE statement');
    throw error;
  }
}
