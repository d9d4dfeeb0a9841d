import type { SQLInputValue } from 'node:sqlite';
import { type Changed, checkIndexes, checkUnique, lastRow, nameOf } from './change.ts';
import { columnType, stored, type Value } from './columntypes.ts';
import { type Binds, bindsOf, type Database, resolver, tableFor } from './database.ts';
import { columnOf } from './ddl.ts';
import { fromSqlite, isOraError, type OraError, oraError } from './oraerror.ts';
import { prepared } from './query.ts';
import { byCommas, type Token, type TokenReader, translate, withTables } from './sqltext.ts';
import { atomically, type Column, physical, quoted, type Table } from './tables.ts';
import { lockTable, patiently, type Session } from './transactions.ts';

interface Insertion {
  readonly table: Table;
  readonly columns: readonly Column[];
  readonly append: boolean;
}

export async function insert(
  database: Database,
  session: Session,
  reader: TokenReader,
  rows: readonly (readonly Value[])[],
  batchErrors: boolean,
): Promise<Changed> {
  const hint = reader.peek()?.kind === 'hint' ? reader.next().text : '';
  reader.expect('INTO');
  const table = tableFor(database, session, reader.name());
  const listed = reader.peek()?.text === '(' && reader.peek(1)?.text !== 'SELECT' && reader.peek(1)?.text !== 'WITH';
  const columns = listed
    ? byCommas(reader.parenthesis()).map(([first]) => columnOf(table, first!.text))
    : table.columns;
  if (reader.accept('VALUES')) {
    const values = byCommas(reader.parenthesis());
    checkWidth(values.length, columns.length);
    return insertRows(database, session, { table, columns, append: false }, values, rows, batchErrors);
  }
  const insertion = { table, columns, append: /\bAPPEND\b/i.test(hint) };
  const count = await patiently(session, null, () =>
    insertQuery(database, session, insertion, reader.rest(), bindsOf(rows[0])),
  );
  return { count, batchErrors: [] };
}

function checkWidth(given: number, wanted: number): void {
  if (given !== wanted) throw oraError(given > wanted ? 913 : 947);
}

/** Row after row: those before one that fails stay, as in Oracle. */
async function insertRows(
  database: Database,
  session: Session,
  { table, columns }: Insertion,
  values: readonly (readonly Token[])[],
  rows: readonly (readonly Value[])[],
  batchErrors: boolean,
): Promise<Changed> {
  const omitted = table.columns.filter((column) => column.byDefault !== null && !columns.includes(column));
  const all = [...columns, ...omitted];
  const evaluate = evaluator(database, session, values, omitted);
  const names = all.map(({ name }) => quoted(name));
  const into = prepared(
    database,
    `INSERT INTO ${physical(table)} (${[...names, '_born'].join(', ')}) VALUES (${names.map(() => '?').join(', ')}, ${session.id})`,
  );
  const errors: { offset: number; error: OraError }[] = [];
  const each = rows.length === 0 ? [[]] : rows;
  for (const [offset, row] of each.entries()) {
    const step = () => {
      lockTable(database.sessions, session, table, 'RX');
      checkIndexes(table, false);
      database.caller = session;
      const given = evaluate(row);
      const fit = given.map((value, i) => stored(value, all[i]!.type, nameOf(table, all[i]!), session.zoneMinutes));
      atomically(database.sqlite, () => {
        const { lastInsertRowid } = into.run(...(fit as SQLInputValue[]));
        checkUnique(database, session, table, BigInt(lastInsertRowid) - 1n);
      });
      session.touched.add(table);
    };
    try {
      await patiently(session, null, step);
    } catch (thrown) {
      const error = fromSqlite(thrown);
      if (!isOraError(error) || !batchErrors) throw error;
      errors.push({ offset, error });
    }
  }
  return { count: each.length - errors.length, batchErrors: errors };
}

/** Binds are taken as they are; whatever else is computed by SQLite. */
function evaluator(
  database: Database,
  session: Session,
  values: readonly (readonly Token[])[],
  omitted: readonly Column[],
) {
  const resolve = resolver(database, session);
  const bindAt = values.map((tokens) =>
    tokens.length === 1 && tokens[0]!.kind === 'bind' ? Number(tokens[0]!.text.slice(1)) - 1 : null,
  );
  const parts = values.filter((_, i) => bindAt[i] === null).map((tokens) => translate(tokens, resolve));
  const texts = [...parts.map(({ text }) => text), ...omitted.map(({ byDefault }) => byDefault!)];
  const tables = new Map(parts.flatMap((part) => [...part.tables]));
  const compute =
    texts.length === 0 ? null : prepared(database, withTables({ text: `SELECT ${texts.join(', ')}`, tables }));
  return (row: readonly Value[]): Value[] => {
    const computed = (compute?.get(bindsOf(row)) as unknown as Value[] | undefined) ?? [];
    let next = 0;
    const given = bindAt.map((at) => {
      if (at === null) return computed[next++]!;
      const value = row[at];
      if (value === undefined) throw oraError(1008);
      return value;
    });
    return [...given, ...computed.slice(next)];
  };
}

function insertQuery(
  database: Database,
  session: Session,
  { table, columns, append }: Insertion,
  tokens: readonly Token[],
  binds: Binds,
): number {
  lockTable(database.sessions, session, table, append ? 'X' : 'RX');
  checkIndexes(table, append);
  database.caller = session;
  const { sqlite } = database;
  const query = translate(tokens, resolver(database, session));
  const given = prepared(database, withTables(query)).columns();
  checkWidth(given.length, columns.length);
  const values = columns.map((column, i) => {
    const source = given[i]!.type;
    return source !== null && fits(source, column.type.text)
      ? `c${i}`
      : `stored_as(c${i}, '${column.type.text}', '${nameOf(table, column)}')`;
  });
  const omitted = table.columns.filter((column) => column.byDefault !== null && !columns.includes(column));
  const names = [...columns, ...omitted].map(({ name }) => quoted(name));
  const expressions = [...values, ...omitted.map(({ byDefault }) => byDefault!), String(session.id)];
  const source = `"source$" (${given.map((_, i) => `c${i}`).join(', ')}) AS (${query.text})`;
  const lead = `INSERT INTO ${physical(table)} (${[...names, '_born'].join(', ')}) SELECT ${expressions.join(', ')} FROM "source$"`;
  const count = atomically(sqlite, () => {
    const before = lastRow(database, table);
    const { changes } = prepared(database, withTables({ text: '', tables: query.tables }, lead, [source])).run(binds);
    if (changes > 0n) checkUnique(database, session, table, before);
    return Number(changes);
  });
  session.touched.add(table);
  if (append) session.appended.add(table);
  return count;
}

/** Whether every value of the one type is one of the other, as it is. */
function fits(from: string, to: string): boolean {
  const [source, target] = [columnType(from), columnType(to)];
  if (source === null || target === null || source.name !== target.name) return false;
  if (target.name === 'VARCHAR2') return source.chars === target.chars && source.length <= target.length;
  return source.text === target.text || target.text === 'NUMBER';
}
