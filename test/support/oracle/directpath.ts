import type { SQLInputValue } from 'node:sqlite';
import { stored, type Value } from './columntypes.ts';
import { type Database, tableFor } from './database.ts';
import { columnOf } from './ddl.ts';
import { oraError } from './oraerror.ts';
import { type TtcReader, ttcReader } from './packets.ts';
import { prepared } from './query.ts';
import { atomically, type Column, hasDoubles, physical, quoted, type Table } from './tables.ts';
import { endTransaction, lockTable, patiently, type Session } from './transactions.ts';
import { decodeValue, wireType, wireTypeOf } from './wirevalues.ts';

// A load by direct path: prepared (the table is locked) ─▶ loaded, any number of times (rows are checked and kept) ─▶
// finished (they are in the table and committed, whatever their keys) or aborted (they never were).

export interface Load {
  readonly table: Table;
  readonly columns: readonly Column[];
  readonly rows: Value[][];
}

export async function prepareLoad(database: Database, session: Session, names: LoadNames): Promise<Load> {
  const table = tableFor(database, session, { schema: names.schema, name: names.table });
  const columns = names.columns.map((name) => columnOf(table, name));
  await patiently(session, null, () => lockTable(database.sessions, session, table, 'X'));
  return { table, columns, rows: [] };
}

/** Takes rows in, all or none. */
export function loadRows(session: Session, { table, columns, rows }: Load, values: readonly Value[][]): void {
  const names = columns.map(({ name }) => `"${table.owner}"."${table.name}"."${name}"`);
  const checked = values.map((row) =>
    columns.map(({ type, nullable }, i) => {
      const value = stored(row[i]!, type, names[i]!, session.zoneMinutes);
      if (value === null && !nullable) throw oraError(1400, `(${names[i]})`);
      return value;
    }),
  );
  const omitted = table.columns.find(
    ({ name, nullable, byDefault }) => !nullable && byDefault === null && !columns.some((one) => one.name === name),
  );
  if (omitted !== undefined) throw oraError(1400, `("${table.owner}"."${table.name}"."${omitted.name}")`);
  for (const row of checked) rows.push(row);
}

export function finishLoad(database: Database, session: Session, { table, columns, rows }: Load): void {
  database.caller = session;
  const omitted = table.columns.filter(
    ({ name, byDefault }) => byDefault !== null && !columns.some((one) => one.name === name),
  );
  const names = [...columns, ...omitted].map(({ name }) => quoted(name)).join(', ');
  const values = [...columns.map(() => '?'), ...omitted.map(({ byDefault }) => byDefault!)].join(', ');
  const into = prepared(database, `INSERT INTO ${physical(table)} (${names}) VALUES (${values})`);
  atomically(database.sqlite, () => {
    for (const row of rows) into.run(...(row as SQLInputValue[]));
  });
  for (const index of table.indexes) {
    if (index.unique && hasDoubles(database.sqlite, table, index.columns, session.id)) index.usable = false;
  }
  endTransaction(database.sqlite, session, true);
}

export interface LoadNames {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
}

/** What a prepare message asks for: keywords 3 (schema), 1 (table) and 4 (a column). */
export function readPrepare(reader: TtcReader): LoadNames {
  reader.ub();
  reader.u8();
  const count = reader.ub();
  reader.u8();
  reader.ub();
  reader.skip(6);
  const keywords = Array.from({ length: count }, () => {
    reader.ub();
    reader.ub();
    const text = reader.bytes()?.toString() ?? '';
    return { text, keyword: reader.ub() };
  });
  const all = (keyword: number) => keywords.filter((one) => one.keyword === keyword).map(({ text }) => text);
  return { schema: all(3)[0] ?? '', table: all(1)[0] ?? '', columns: all(4) };
}

const flag = { splitWithNext: 0x01, last: 0x04, first: 0x08, fast: 0x20 } as const;

/**
 * The rows of a load message. They come in pieces of up to 64 KiB: flags, for a row in one piece its length, a count of
 * segments, and those; a value may be split over pieces.
 */
export function readStream(stream: Buffer, columns: readonly Column[]): Value[][] {
  const reader = ttcReader(stream);
  const types = columns.map(({ type }) => wireTypeOf(type));
  const rows: Value[][] = [];
  let row: (Buffer | null)[] = [];
  let begun: Buffer | null = null;
  while (reader.left() > 0) {
    const flags = reader.u8();
    if (flags & flag.fast) reader.u16();
    const segments = reader.u8();
    if (flags & flag.first) row = [];
    for (let i = 0; i < segments; i++) {
      const length = reader.u8();
      const bytes: Buffer | null = length === 255 ? null : reader.take(length === 254 ? reader.u16() : length);
      const whole: Buffer | null = begun === null ? bytes : Buffer.concat([begun, bytes ?? Buffer.alloc(0)]);
      begun = i === segments - 1 && flags & flag.splitWithNext ? whole : null;
      if (begun === null) row.push(whole);
    }
    if (flags & flag.last) {
      if (row.length !== types.length) throw new Error(`a row of ${row.length} values for ${types.length} columns`);
      rows.push(row.map((bytes, i) => decodeValue(types[i]!, types[i] === wireType.clob ? 2 : 1, bytes)));
    }
  }
  return rows;
}
