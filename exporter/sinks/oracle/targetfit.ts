import { limits } from '#queue/limits.ts';
import type { Session } from './connection.ts';
import { columnTypes, keyColumns, type OracleColumn } from './ddl.ts';

/** A column that is there, as the dictionary says it. */
export interface ColumnFacts {
  readonly name: string;
  /** VARCHAR2, NUMBER, CLOB, TIMESTAMP(3) ... */
  readonly type: string;
  /** Of a text, in bytes. */
  readonly bytes: number;
  /** Of a NUMBER; null: as much as it takes. */
  readonly precision: number | null;
  readonly scale: number | null;
  readonly nullable: boolean;
  readonly hasDefault: boolean;
}

const text = (most: number) => (column: ColumnFacts) => column.type === 'VARCHAR2' && column.bytes >= most;
const number = (digits: number) => (column: ColumnFacts) =>
  column.type === 'NUMBER' && (column.precision ?? 38) - (column.scale ?? 0) >= digits && (column.scale ?? 0) >= 0;
const time = ({ type }: ColumnFacts) => /^TIMESTAMP\([3-9]\)$/.test(type);

/** Which columns take the values and give them back unchanged. */
const fitting: Readonly<Record<OracleColumn, (column: ColumnFacts) => boolean>> = {
  EXAM: text(128),
  SESSION_UID: text(36),
  STUDENT: text(limits.studentBytes),
  ORDER_NO: number(10),
  WRITER: text(64),
  SEQ: number(10),
  PAYLOAD: (column) => column.type === 'CLOB' || text(limits.payloadBytes)(column),
  RECEIVED_AT: time,
  DURABLE_AT: time,
  LATE: number(1),
  SHARD: number(4),
  RECEIVED_MS: (column) => number(15)(column) && column.nullable,
  DURABLE_MS: (column) => number(15)(column) && column.nullable,
};

/** Pure: in what way the columns of a table do not take the rows. */
export function unfitColumns(found: readonly ColumnFacts[]): string[] {
  const wrong: string[] = [];
  for (const [name, fits] of Object.entries(fitting)) {
    const column = found.find((one) => one.name === name);
    const null_ = name.endsWith('_MS') ? ', nullable' : '';
    if (!column || !fits(column)) {
      wrong.push(
        `${name} must be ${columnTypes[name as OracleColumn]}${null_}${column ? `, it is ${inWords(column)}` : ''}`,
      );
    }
  }
  for (const { name, nullable, hasDefault } of found) {
    if (!nullable && !hasDefault && !(name in fitting)) wrong.push(`${name} must allow nulls or have a default`);
  }
  return wrong;
}

function inWords({ type, bytes, precision, nullable }: ColumnFacts): string {
  const size =
    type === 'VARCHAR2' ? `(${bytes} BYTE)` : type === 'NUMBER' && precision !== null ? `(${precision})` : '';
  return `${type}${size}${nullable ? '' : ' NOT NULL'}`;
}

/** What a table is, apart from its columns. */
export interface TableFacts {
  /** Null: not one for the whole table, or not known. */
  readonly logging: boolean | null;
  /** An index sees to it that (SESSION_UID, STUDENT, WRITER, SEQ) is unique. */
  readonly unique: boolean;
  /** Indexes that are UNUSABLE: inserting would fail, or leave them so. */
  readonly unusable: readonly string[];
}

/** Null: there is no such table, or none that we may see. */
export async function askTable(session: Session, owner: string, table: string): Promise<TableFacts | null> {
  const [found] = await session.rows<{ logging: string | null; partitioned: string }>(
    'SELECT LOGGING AS "logging", PARTITIONED AS "partitioned" FROM ALL_TABLES WHERE OWNER = :1 AND TABLE_NAME = :2',
    [owner, table],
  );
  if (!found) return null;
  const indexes = await session.rows<{ name: string; unique: string; status: string }>(
    `SELECT INDEX_NAME AS "name", UNIQUENESS AS "unique", STATUS AS "status" FROM ALL_INDEXES
     WHERE TABLE_OWNER = :1 AND TABLE_NAME = :2`,
    [owner, table],
  );
  const columns = await session.rows<{ index: string; name: string }>(
    `SELECT INDEX_NAME AS "index", COLUMN_NAME AS "name" FROM ALL_IND_COLUMNS WHERE TABLE_OWNER = :1 AND TABLE_NAME = :2`,
    [owner, table],
  );
  const keys: readonly string[] = [...keyColumns, 'EXAM'];
  const isKey = (index: string) => {
    const own = columns.filter((column) => column.index === index);
    return own.length > 0 && own.every(({ name }) => keys.includes(name));
  };
  return {
    logging: loggingOf(found.logging ?? (await partitionedLogging(session, owner, table))),
    unique: indexes.some(({ name, unique, status }) => unique === 'UNIQUE' && status !== 'UNUSABLE' && isKey(name)),
    unusable: indexes.filter(({ status }) => status === 'UNUSABLE').map(({ name }) => name),
  };
}

/** A partitioned table has no LOGGING of its own, but one for its next partition. */
async function partitionedLogging(session: Session, owner: string, table: string): Promise<string | null> {
  const [row] = await session.rows<{ logging: string | null }>(
    'SELECT DEF_LOGGING AS "logging" FROM ALL_PART_TABLES WHERE OWNER = :1 AND TABLE_NAME = :2',
    [owner, table],
  );
  return row?.logging ?? null;
}

function loggingOf(said: string | null): boolean | null {
  return said === 'YES' ? true : said === 'NO' ? false : null;
}

export async function askColumns(session: Session, owner: string, table: string): Promise<ColumnFacts[]> {
  const rows = await session.rows<
    Omit<ColumnFacts, 'nullable' | 'hasDefault'> & { nulls: string; size: number | null }
  >(
    `SELECT COLUMN_NAME AS "name", DATA_TYPE AS "type", DATA_LENGTH AS "bytes", DATA_PRECISION AS "precision",
       DATA_SCALE AS "scale", NULLABLE AS "nulls", DEFAULT_LENGTH AS "size"
     FROM ALL_TAB_COLUMNS WHERE OWNER = :1 AND TABLE_NAME = :2`,
    [owner, table],
  );
  return rows.map(({ nulls, size, ...column }) => ({
    ...column,
    nullable: nulls === 'Y',
    hasDefault: size !== null && size > 0,
  }));
}
