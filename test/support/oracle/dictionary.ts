import type { Value } from './columntypes.ts';
import type { Database } from './database.ts';
import type { Table } from './tables.ts';
import type { Session } from './transactions.ts';

/** What the dictionary says of the database and of the user; nothing of it is enforced. */
export interface Facts {
  readonly version: string;
  readonly characterSet: string;
  readonly forceLogging: boolean;
  readonly archiveLog: boolean;
  readonly maxStringSize: 'STANDARD' | 'EXTENDED';
  readonly partitioning: boolean;
  readonly privileges: readonly string[];
  /** On tables of others: `OWNER TABLE PRIVILEGE`. */
  readonly tablePrivileges: readonly string[];
  readonly roles: readonly string[];
  readonly tablespace: string;
  /** Bytes by tablespace; -1 is without limit. */
  readonly quotas: Readonly<Record<string, number>>;
  readonly accountStatus: string;
  /** The number of an error that comes as a warning with each login, such as 28002. */
  readonly loginWarning: number | null;
}

export const defaultFacts: Facts = {
  version: '19.3.0.0.0',
  characterSet: 'AL32UTF8',
  forceLogging: false,
  archiveLog: true,
  maxStringSize: 'STANDARD',
  partitioning: true,
  privileges: ['CREATE SESSION', 'CREATE TABLE'],
  tablePrivileges: [],
  roles: [],
  tablespace: 'USERS',
  quotas: { USERS: -1 },
  accountStatus: 'OPEN',
  loginWarning: null,
};

interface View {
  readonly columns: string;
  readonly rows: (database: Database, session: Session) => Value[][];
}

const yesNo = (yes: boolean) => (yes ? 'YES' : 'NO');
const big = (number: number | null) => (number === null ? null : BigInt(number));
const tablesOf = ({ tables }: Database): Table[] => [...tables.values()];
const facts = (columns: string, rows: (facts: Facts, session: Session) => Value[][]): View => ({
  columns,
  rows: (database, session) => rows(database.facts, session),
});

/** Views that are there as ALL_ and, without the owner, as USER_. */
const owned: Readonly<Record<string, View>> = {
  TABLES: {
    columns: 'OWNER TABLE_NAME TABLESPACE_NAME LOGGING PARTITIONED NUM_ROWS STATUS',
    rows: (database) =>
      tablesOf(database).map((table) => [
        ...[table.owner, table.name, table.tablespace, yesNo(table.logging)],
        ...[yesNo(table.partitioning !== null), table.counted, 'VALID'],
      ]),
  },
  TAB_COLUMNS: {
    columns:
      'OWNER TABLE_NAME COLUMN_NAME DATA_TYPE DATA_LENGTH DATA_PRECISION DATA_SCALE NULLABLE COLUMN_ID CHAR_LENGTH CHAR_USED DEFAULT_LENGTH',
    rows: (database) =>
      tablesOf(database).flatMap(({ owner, name, columns }) =>
        columns.map((column, i) => [
          owner,
          name,
          column.name,
          ...typeFacts(column.type),
          column.nullable ? 'Y' : 'N',
          big(i + 1),
          ...charFacts(column.type),
          column.byDefault === null ? null : big(column.byDefault.length),
        ]),
      ),
  },
  INDEXES: {
    columns: 'OWNER INDEX_NAME TABLE_OWNER TABLE_NAME UNIQUENESS STATUS INDEX_TYPE',
    rows: (database) =>
      tablesOf(database).flatMap((table) =>
        table.indexes.map((index) => [
          ...[index.owner, index.name, table.owner, table.name],
          ...[index.unique ? 'UNIQUE' : 'NONUNIQUE', index.usable ? 'VALID' : 'UNUSABLE', 'NORMAL'],
        ]),
      ),
  },
  IND_COLUMNS: {
    columns: 'INDEX_OWNER INDEX_NAME TABLE_NAME COLUMN_NAME COLUMN_POSITION TABLE_OWNER',
    rows: (database) =>
      tablesOf(database).flatMap(({ owner, name, indexes }) =>
        indexes.flatMap((index) =>
          index.columns.map((column, i) => [index.owner, index.name, name, column, big(i + 1), owner]),
        ),
      ),
  },
  CONSTRAINTS: {
    columns: 'OWNER CONSTRAINT_NAME CONSTRAINT_TYPE TABLE_NAME STATUS VALIDATED INDEX_NAME',
    rows: (database) =>
      tablesOf(database).flatMap(({ owner, name, constraints }) =>
        constraints.map((one) => [owner, one.name, one.kind, name, 'ENABLED', 'VALIDATED', one.index]),
      ),
  },
  CONS_COLUMNS: {
    columns: 'OWNER CONSTRAINT_NAME TABLE_NAME COLUMN_NAME POSITION',
    rows: (database) =>
      tablesOf(database).flatMap(({ owner, name, constraints }) =>
        constraints.flatMap((one) => one.columns.map((column, i) => [owner, one.name, name, column, big(i + 1)])),
      ),
  },
  PART_TABLES: {
    columns: 'OWNER TABLE_NAME PARTITIONING_TYPE DEF_LOGGING',
    rows: (database) =>
      tablesOf(database).flatMap(({ owner, name, partitioning, logging }) =>
        partitioning === null ? [] : [[owner, name, partitioning, yesNo(logging)]],
      ),
  },
  TAB_PARTITIONS: { columns: 'OWNER TABLE_NAME PARTITION_NAME HIGH_VALUE', rows: () => [] },
};

const single: Readonly<Record<string, View>> = {
  DUAL: facts('DUMMY', () => [['X']]),
  V$DATABASE: facts('NAME FORCE_LOGGING LOG_MODE', ({ forceLogging, archiveLog }) => [
    ['EXAMS', yesNo(forceLogging), archiveLog ? 'ARCHIVELOG' : 'NOARCHIVELOG'],
  ]),
  V$INSTANCE: facts('INSTANCE_NAME STATUS VERSION', ({ version }) => [['exams', 'OPEN', version]]),
  V$VERSION: facts('BANNER', ({ version }) => [[`Oracle Database (a double for tests) Release ${version}`]]),
  V$OPTION: facts('PARAMETER VALUE', ({ partitioning }) => [['Partitioning', partitioning ? 'TRUE' : 'FALSE']]),
  V$PARAMETER: facts('NAME VALUE', ({ version, maxStringSize }) => [
    ['compatible', version],
    ['max_string_size', maxStringSize],
  ]),
  NLS_DATABASE_PARAMETERS: facts('PARAMETER VALUE', ({ characterSet }) => [
    ['NLS_CHARACTERSET', characterSet],
    ['NLS_NCHAR_CHARACTERSET', 'AL16UTF16'],
    ['NLS_LENGTH_SEMANTICS', 'BYTE'],
  ]),
  PRODUCT_COMPONENT_VERSION: facts('PRODUCT VERSION VERSION_FULL STATUS', ({ version }) => [
    ['Oracle Database (a double for tests)', version, version, 'Production'],
  ]),
  USER_USERS: facts(
    'USERNAME ACCOUNT_STATUS EXPIRY_DATE DEFAULT_TABLESPACE',
    ({ accountStatus, tablespace }, { user }) => [[user, accountStatus, null, tablespace]],
  ),
  ALL_USERS: facts('USERNAME', (_, { user }) => [[user]]),
  USER_TABLESPACES: facts('TABLESPACE_NAME STATUS LOGGING FORCE_LOGGING', ({ tablespace, forceLogging }) => [
    [tablespace, 'ONLINE', 'LOGGING', yesNo(forceLogging)],
  ]),
  USER_TS_QUOTAS: facts('TABLESPACE_NAME BYTES MAX_BYTES', ({ quotas }) =>
    Object.entries(quotas).map(([name, most]) => [name, 0n, big(most)]),
  ),
  SESSION_PRIVS: facts('PRIVILEGE', ({ privileges }) => privileges.map((name) => [name])),
  SESSION_ROLES: facts('ROLE', ({ roles }) => roles.map((name) => [name])),
  ALL_TAB_PRIVS: facts('TABLE_SCHEMA TABLE_NAME PRIVILEGE GRANTEE', ({ tablePrivileges }, { user }) =>
    tablePrivileges.map((words) => [...words.split(' '), user]),
  ),
  USER_TAB_PRIVS: facts('OWNER TABLE_NAME PRIVILEGE', () => []),
};

/** A view as a query of constants, or null when the dictionary has none of that name. */
export function dictionaryView(name: string, database: Database, session: Session): string | null {
  const [, which, base] = /^(USER|ALL|DBA)_(.+)$/.exec(name) ?? [];
  const view = single[name] ?? (base === undefined ? undefined : owned[base]);
  if (view === undefined) return null;
  // The USER_ views lack the owner, but for those of constraints.
  const mine = which === 'USER' && single[name] === undefined;
  const from = mine && !base!.startsWith('CON') ? 1 : 0;
  const columns = view.columns.split(' ').slice(from);
  const rows = view.rows(database, session).filter((row) => !mine || row[0] === session.user);
  const named = columns.map((column, i) => `column${i + 1} AS ${column}`).join(', ');
  const values = rows.map((row) => `(${row.slice(from).map(literal).join(', ')})`);
  const nothing = `(${columns.map(() => 'NULL').join(', ')})`;
  return `SELECT ${named} FROM (VALUES ${values.join(', ') || nothing})${values.length === 0 ? ' WHERE 0' : ''}`;
}

function literal(value: Value): string {
  return typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value ?? 'NULL');
}

function typeFacts({ name, length, chars, precision, scale, text }: Table['columns'][number]['type']): Value[] {
  const shown = name.startsWith('TIMESTAMP') ? text : name;
  const bytes =
    name === 'NUMBER' ? 22 : name === 'DATE' ? 7 : name.startsWith('TIMESTAMP') ? 11 : length * (chars ? 4 : 1);
  const digits =
    name === 'NUMBER'
      ? [big(precision), precision === null ? null : big(scale)]
      : [null, shown === name ? null : big(scale)];
  return [shown, big(name === 'CLOB' || name === 'BLOB' ? 4_000 : Math.min(bytes, 4_000)), ...digits];
}

function charFacts({ name, length, chars }: Table['columns'][number]['type']): Value[] {
  return name === 'VARCHAR2' || name === 'CHAR' ? [big(length), chars ? 'C' : 'B'] : [0n, null];
}
