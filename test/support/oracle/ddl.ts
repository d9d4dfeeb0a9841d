import { columnType } from './columntypes.ts';
import { type Database, findTable, tableFor } from './database.ts';
import { oraError } from './oraerror.ts';
import { select } from './query.ts';
import { byCommas, type Token, type TokenReader, tokenReader, translate } from './sqltext.ts';
import {
  addIndex,
  atomically,
  type Column,
  type Constraint,
  hasDoubles,
  makePhysical,
  physical,
  quoted,
  removeIndex,
  type Table,
} from './tables.ts';
import { endTransaction, type Session } from './transactions.ts';

/** Runs a statement of the data definition language; false when it is none. Commits before and after. */
export function define(database: Database, session: Session, tokens: readonly Token[]): boolean {
  const reader = tokenReader(tokens);
  const statement = definitions.find(([words]) => reader.accept(...words))?.[1];
  if (statement === undefined) return false;
  endTransaction(database.sqlite, session, true);
  statement(database, session, reader);
  return true;
}

type Statement = (database: Database, session: Session, reader: TokenReader) => void;

const definitions: readonly (readonly [readonly string[], Statement])[] = [
  [['CREATE', 'TABLE'], createTable],
  [['CREATE', 'UNIQUE', 'INDEX'], (database, session, reader) => createIndex(database, session, reader, true)],
  [['CREATE', 'INDEX'], (database, session, reader) => createIndex(database, session, reader, false)],
  [['ALTER', 'TABLE'], alterTable],
  [['ALTER', 'INDEX'], rebuildIndex],
  [['DROP', 'TABLE'], dropTable],
  [['DROP', 'INDEX'], dropIndex],
  [['TRUNCATE', 'TABLE'], truncate],
  [['COMMENT', 'ON'], () => {}],
  [['GRANT'], () => {}],
];

function createTable(database: Database, session: Session, reader: TokenReader): void {
  const { schema, name } = reader.name();
  const owner = schema ?? session.schema;
  if (!database.users.has(owner)) throw oraError(1918, owner);
  if (database.tables.has(`${owner}.${name}`)) throw oraError(955);
  const body = reader.peek()?.text === '(' ? readBody(reader.parenthesis()) : null;
  let before = '';
  const options = reader.until(({ kind, text }) => {
    // Not that of STORE AS.
    const isQuery = kind === 'word' && text === 'AS' && before !== 'STORE';
    before = text;
    return isQuery;
  });
  const query = reader.accept('AS') ? select(database, session, reader.rest(), undefined) : null;
  const columns =
    body?.columns ??
    query?.columns.map(({ name: column, type, nullable }) => ({ name: column, type, nullable, byDefault: null })) ??
    [];
  if (columns.length === 0) throw oraError(906);
  const table: Table = {
    owner,
    name,
    columns,
    ...storageOf(database, options),
    indexes: [],
    constraints: [],
    counted: null,
    gone: false,
  };
  atomically(database.sqlite, () => {
    makePhysical(database.sqlite, table);
    for (const constraint of body?.constraints ?? []) addConstraint(database, session, table, constraint);
    if (query !== null) {
      const into = database.sqlite.prepare(
        `INSERT INTO ${physical(table)} VALUES (${'?, '.repeat(columns.length)}0, 0, 0)`,
      );
      for (let rows = query.read(1_000); rows.length > 0; rows = query.read(1_000))
        for (const row of rows) into.run(...row);
    }
  });
  query?.close();
  database.tables.set(`${owner}.${name}`, table);
}

function storageOf(
  { facts }: Database,
  options: readonly Token[],
): Pick<Table, 'logging' | 'tablespace' | 'partitioning'> {
  const words = options.map(({ text }) => text);
  const after = (word: string, distance = 1) =>
    words.includes(word) ? (words[words.indexOf(word) + distance] ?? null) : null;
  return {
    logging: !words.includes('NOLOGGING'),
    tablespace: after('TABLESPACE') ?? facts.tablespace,
    partitioning: after('PARTITION') === 'BY' ? after('PARTITION', 2) : null,
  };
}

/** A constraint that is wanted; without a name it gets one of the system's. */
interface Wanted {
  readonly name: string | null;
  readonly kind: 'P' | 'U' | 'C';
  readonly columns: readonly string[];
}

function readBody(tokens: readonly Token[]): { columns: Column[]; constraints: Wanted[] } {
  const columns: Column[] = [];
  const constraints: Wanted[] = [];
  for (const part of byCommas(tokens)) {
    const reader = tokenReader(part);
    const constraint = readConstraint(reader, null);
    if (constraint !== null) constraints.push(constraint);
    else columns.push(readColumn(reader, constraints));
  }
  return { columns, constraints };
}

/** `[CONSTRAINT c] PRIMARY KEY|UNIQUE|CHECK (...)`, or without the columns behind a column. */
function readConstraint(reader: TokenReader, column: string | null): Wanted | null {
  const name = reader.accept('CONSTRAINT') ? reader.identifier() : null;
  const kind = reader.accept('PRIMARY', 'KEY')
    ? 'P'
    : reader.accept('UNIQUE')
      ? 'U'
      : reader.accept('CHECK')
        ? 'C'
        : null;
  if (kind === null) {
    if (name !== null && column === null) throw oraError(900, `a constraint expected after ${name}`);
    return null;
  }
  const inside = kind === 'C' || column === null ? reader.parenthesis() : [];
  const columns = kind === 'C' ? [] : column === null ? byCommas(inside).map(([first]) => first!.text) : [column];
  return { name, kind, columns };
}

function readColumn(reader: TokenReader, constraints: Wanted[]): Column {
  const name = reader.identifier();
  let text = reader.identifier();
  if (reader.peek()?.text === '(')
    text += `(${reader
      .parenthesis()
      .map((token) => token.text)
      .join(' ')})`;
  if (reader.accept('WITH', 'LOCAL', 'TIME', 'ZONE')) text += ' WITH LOCAL TIME ZONE';
  else if (reader.accept('WITH', 'TIME', 'ZONE')) text += ' WITH TIME ZONE';
  const type = columnType(text.replace(' , ', ','));
  if (type === null) throw oraError(902, `type ${text}`);
  let byDefault: string | null = null;
  let nullable = true;
  while (!reader.done()) {
    if (reader.accept('DEFAULT')) {
      reader.accept('ON', 'NULL');
      const ends = ['NOT', 'NULL', 'CONSTRAINT', 'PRIMARY', 'UNIQUE', 'CHECK', 'ENABLE'];
      byDefault = translate(
        reader.until((token) => token.kind === 'word' && ends.includes(token.text)),
        () => null,
      ).text;
    } else if (
      reader.accept('NOT', 'NULL') ||
      (reader.peek(2)?.text === 'NOT' && reader.accept('CONSTRAINT', reader.peek(1)!.text, 'NOT', 'NULL'))
    )
      nullable = false;
    else if (!reader.accept('NULL') && !reader.accept('ENABLE')) {
      const constraint = readConstraint(reader, name);
      if (constraint === null) throw oraError(900, `${reader.peek()!.text} of column ${name}`);
      constraints.push(constraint);
    }
  }
  return { name, type, nullable, byDefault };
}

function addConstraint(database: Database, session: Session, table: Table, wanted: Wanted): void {
  const all = [...database.tables.values()]
    .filter(({ owner }) => owner === table.owner)
    .flatMap(({ constraints }) => constraints);
  const name = wanted.name ?? `SYS_C${String(7_000 + database.nextId++)}`;
  if ([...all, ...table.constraints].some((one) => one.name === name)) throw oraError(2264);
  for (const column of wanted.columns) columnOf(table, column);
  if (wanted.kind === 'P') {
    if (table.constraints.some(({ kind }) => kind === 'P')) throw oraError(2260);
    for (const column of wanted.columns) requireValue(database, table, columnOf(table, column));
  }
  const constraint: Constraint = {
    name,
    kind: wanted.kind,
    columns: wanted.columns,
    index: wanted.kind === 'C' ? null : name,
  };
  if (wanted.kind !== 'C') {
    if (hasDoubles(database.sqlite, table, wanted.columns, session.id))
      throw oraError(wanted.kind === 'P' ? 2437 : 2299, name);
    addIndex(database.sqlite, table, { owner: table.owner, name, columns: wanted.columns, unique: true, usable: true });
  }
  table.constraints.push(constraint);
}

/** For a table that is there already, where SQLite cannot change the column. */
function requireValue({ sqlite }: Database, table: Table, column: Column): void {
  if (!column.nullable) return;
  column.nullable = false;
  const name = `${table.owner}.${table.name}.${column.name}`;
  sqlite.exec(
    `CREATE TRIGGER ${quoted(`${name} is not null`)} BEFORE INSERT ON ${quoted(`${table.owner}.${table.name}`)}
     WHEN NEW.${quoted(column.name)} IS NULL BEGIN SELECT RAISE(ABORT, 'NOT NULL constraint failed: ${name}'); END`,
  );
}

export function columnOf(table: Table, name: string): Column {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) throw oraError(904, `"${name}"`);
  return column;
}

/** Definitions do not wait. */
function alone(database: Database, session: Session, table: Table): Table {
  for (const other of database.sessions.values()) if (other !== session && other.locks.has(table)) throw oraError(54);
  return table;
}

function createIndex(database: Database, session: Session, reader: TokenReader, unique: boolean): void {
  const { schema, name } = reader.name();
  reader.expect('ON');
  const table = alone(database, session, tableFor(database, session, reader.name()));
  const columns = byCommas(reader.parenthesis()).map(([first]) => columnOf(table, first!.text).name);
  const owner = schema ?? table.owner;
  if (indexNamed(database, owner, name) !== null) throw oraError(955);
  if (table.indexes.some((index) => index.columns.join() === columns.join())) throw oraError(1408);
  if (unique && hasDoubles(database.sqlite, table, columns, session.id)) throw oraError(1452);
  addIndex(database.sqlite, table, { owner, name, columns, unique, usable: true });
}

function indexNamed(database: Database, owner: string, name: string) {
  for (const table of database.tables.values()) {
    const index = table.indexes.find((one) => one.owner === owner && one.name === name);
    if (index !== undefined) return { table, index };
  }
  return null;
}

function alterTable(database: Database, session: Session, reader: TokenReader): void {
  const table = alone(database, session, tableFor(database, session, reader.name()));
  if (reader.accept('NOLOGGING')) table.logging = false;
  else if (reader.accept('LOGGING')) table.logging = true;
  else {
    reader.expect('ADD');
    reader.accept('(');
    const constraint = readConstraint(reader, null);
    if (constraint === null) throw oraError(900, 'ALTER TABLE adds nothing but constraints');
    addConstraint(database, session, table, constraint);
  }
}

function rebuildIndex(database: Database, session: Session, reader: TokenReader): void {
  const { schema, name } = reader.name();
  const found = indexNamed(database, schema ?? session.schema, name);
  if (found === null) throw oraError(1418);
  reader.expect('REBUILD');
  alone(database, session, found.table);
  if (found.index.unique && hasDoubles(database.sqlite, found.table, found.index.columns, session.id))
    throw oraError(1452);
  found.index.usable = true;
}

function dropTable(database: Database, session: Session, reader: TokenReader): void {
  const table = alone(database, session, tableFor(database, session, reader.name()));
  database.sqlite.exec(`DROP TABLE ${physical(table)}`);
  database.tables.delete(`${table.owner}.${table.name}`);
  table.gone = true;
}

function dropIndex(database: Database, session: Session, reader: TokenReader): void {
  const { schema, name } = reader.name();
  const found = indexNamed(database, schema ?? session.schema, name);
  if (found === null) throw oraError(1418);
  removeIndex(database.sqlite, alone(database, session, found.table), found.index);
}

function truncate(database: Database, session: Session, reader: TokenReader): void {
  const table = findTable(database, session, reader.name());
  if (table === null) throw oraError(942);
  database.sqlite.exec(`DELETE FROM ${physical(alone(database, session, table))}`);
  for (const index of table.indexes) index.usable = true;
}
