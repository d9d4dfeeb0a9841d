import { among, type Changed, hits, remove, update } from './change.ts';
import type { Value } from './columntypes.ts';
import { bindsOf, type Database, findTable, tableFor } from './database.ts';
import { define } from './ddl.ts';
import { insert } from './insert.ts';
import { fromSqlite, oraError } from './oraerror.ts';
import { type Cursor, select } from './query.ts';
import { byCommas, type Token, type TokenReader, tokenReader, tokensOf } from './sqltext.ts';
import { physical, visible } from './tables.ts';
import { endTransaction, type LockMode, lockTable, patiently, type Session } from './transactions.ts';

export type Outcome = { readonly cursor: Cursor } | Changed;

const nothing: Changed = { count: 0, batchErrors: [] };

/**
 * Runs a statement for every row of binds (none is one without binds). Rejects with an OraError; what it had done by
 * then is undone, but for the rows before the one that failed.
 */
export async function execute(
  database: Database,
  session: Session,
  sql: string,
  rows: readonly (readonly Value[])[] = [],
  batchErrors = false,
): Promise<Outcome> {
  try {
    return await run(database, session, tokensOf(sql), rows, batchErrors);
  } catch (error) {
    throw fromSqlite(error);
  }
}

async function run(
  database: Database,
  session: Session,
  tokens: readonly Token[],
  rows: readonly (readonly Value[])[],
  batchErrors: boolean,
): Promise<Outcome> {
  const reader = tokenReader(tokens);
  const first = tokens[0];
  if (first?.text === 'SELECT' || first?.text === 'WITH' || first?.text === '(')
    return { cursor: await query(database, session, tokens, rows) };
  if (reader.accept('INSERT')) return insert(database, session, reader, rows, batchErrors);
  if (reader.accept('UPDATE')) return update(database, session, reader, rows);
  if (reader.accept('DELETE')) return remove(database, session, reader, rows);
  if (reader.accept('LOCK', 'TABLE')) return lock(database, session, reader);
  if (reader.accept('COMMIT')) return ended(database, session, true);
  if (reader.accept('ROLLBACK')) return ended(database, session, false);
  if (reader.accept('SET', 'TRANSACTION')) return nothing;
  if (reader.accept('ALTER', 'SESSION', 'SET')) return alterSession(session, reader);
  if (reader.accept('BEGIN')) return block(database, session, reader, rows[0] ?? []);
  if (define(database, session, tokens)) return nothing;
  throw oraError(
    900,
    `${tokens
      .slice(0, 3)
      .map(({ text }) => text)
      .join(' ')}`,
  );
}

function ended(database: Database, session: Session, commit: boolean): Changed {
  endTransaction(database.sqlite, session, commit);
  return nothing;
}

async function query(
  database: Database,
  session: Session,
  tokens: readonly Token[],
  rows: readonly (readonly Value[])[],
): Promise<Cursor> {
  const reader = tokenReader(tokens);
  const text = reader.until(({ kind, text: word }) => kind === 'word' && word === 'FOR');
  const binds = bindsOf(rows[0]);
  if (!reader.accept('FOR', 'UPDATE')) return select(database, session, tokens, binds);
  if (reader.accept('OF')) reader.until(({ text: word }) => ['NOWAIT', 'WAIT', 'SKIP'].includes(word));
  const skip = reader.accept('SKIP', 'LOCKED');
  const wait = skip ? null : patience(reader);
  const inner = tokenReader(text);
  inner.until(({ kind, text: word }) => kind === 'word' && word === 'FROM');
  inner.expect('FROM');
  const from = inner.rest();
  const table = tableFor(database, session, tokenReader(from).name());
  return patiently(session, wait, () => {
    const numbers = hits(database, session, { table, from }, [], binds, skip);
    const which = `rowid ${among(numbers)}`;
    database.sqlite.exec(`UPDATE ${physical(table)} SET _held = ${session.id} WHERE ${which} AND _born = 0`);
    session.touched.add(table);
    return select(database, session, text, binds);
  });
}

/** `NOWAIT`, `WAIT n`, or for ever. */
function patience(reader: TokenReader): number | null {
  if (reader.accept('NOWAIT')) return 0;
  return reader.accept('WAIT') ? Number(reader.next().text) : null;
}

async function lock(database: Database, session: Session, reader: TokenReader): Promise<Changed> {
  const table = tableFor(database, session, reader.name());
  reader.expect('IN');
  const words = reader.until(({ text }) => text === 'MODE').map(({ text }) => text);
  reader.expect('MODE');
  const modes: Readonly<Record<string, LockMode>> = {
    ...{ 'ROW SHARE': 'RS', 'SHARE UPDATE': 'RS', 'ROW EXCLUSIVE': 'RX', SHARE: 'S' },
    ...{ 'SHARE ROW EXCLUSIVE': 'SRX', EXCLUSIVE: 'X' },
  };
  const mode = modes[words.join(' ')];
  if (mode === undefined) throw oraError(900, `no lock mode ${words.join(' ')}`);
  await patiently(session, patience(reader), () => lockTable(database.sessions, session, table, mode));
  return nothing;
}

function alterSession(session: Session, reader: TokenReader): Changed {
  if (reader.accept('CURRENT_SCHEMA', '=')) session.schema = reader.identifier();
  else if (reader.accept('TIME_ZONE', '='))
    session.zoneMinutes = zoneMinutes(reader.next().text) ?? session.zoneMinutes;
  return nothing;
}

/** `+02:00`; null for what is none. */
export function zoneMinutes(text: string): number | null {
  const [, sign, hours, minutes] = /^([+-])(\d{1,2}):(\d{1,2})$/.exec(text) ?? [];
  if (hours === undefined) return null;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

/** `BEGIN DBMS_X.Y(...); END;` */
function block(database: Database, session: Session, reader: TokenReader, row: readonly Value[]): Changed {
  const name = reader.identifier();
  reader.expect('.');
  const procedure = reader.identifier();
  if (!name.startsWith('DBMS_')) throw oraError(6550, `${name}.${procedure}`);
  const inside = reader.peek()?.text === '(' ? reader.parenthesis() : [];
  reader.expect(';', 'END', ';');
  if (procedure === 'GATHER_TABLE_STATS') count(database, session, inside, row);
  return nothing;
}

function count(database: Database, session: Session, tokens: readonly Token[], row: readonly Value[]): void {
  const values = byCommas(tokens).map((part) => {
    const named = part[1]?.text === '=>';
    const { kind, text } = part.at(-1)!;
    const value = kind === 'bind' ? String(row[Number(text.slice(1)) - 1]) : text === 'USER' ? session.user : text;
    return { name: named ? part[0]!.text : '', value: /^".*"$/.test(value) ? value.slice(1, -1) : value.toUpperCase() };
  });
  const given = (name: string, i: number) => (values.find((one) => one.name === name) ?? values[i])?.value ?? '';
  const table = findTable(database, session, { schema: given('OWNNAME', 0), name: given('TABNAME', 1) });
  if (table === null)
    throw oraError(20000, `Unable to analyze TABLE "${given('OWNNAME', 0)}"."${given('TABNAME', 1)}"`);
  const counted = database.sqlite.prepare(`SELECT count(*) AS n FROM (${visible(table, session.id)})`).get()!;
  table.counted = BigInt(Number(counted.n));
  endTransaction(database.sqlite, session, true);
}
