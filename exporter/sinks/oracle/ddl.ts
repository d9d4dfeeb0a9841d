import { limits } from '#queue/limits.ts';
import type { Column } from '../../row.ts';
import type { OracleSettings } from './config.ts';
import { controlTables, identifier, keyName, literal, qualified } from './names.ts';

// Every statement that makes something, as pure functions: the exporter runs them where it may, `untradex ddl oracle`
// prints them for whoever runs them instead.

/** What the DDL depends on. */
export interface DdlPlace {
  /** The exporter's user: owner of control and staging tables, and of the target unless `owner` says otherwise. */
  readonly user: string;
  readonly owner: string;
  readonly table: string;
  readonly tablespace: string | null;
  readonly partition: OracleSettings['partition'];
  readonly targetLogging: OracleSettings['targetLogging'];
}

/** Columns that Oracle needs beside those of every target: ms since 1970 of what lies beyond the year 9999, else null. */
export const beyondColumns = { RECEIVED_AT: 'RECEIVED_MS', DURABLE_AT: 'DURABLE_MS' } as const;

export type OracleColumn = Column | 'RECEIVED_MS' | 'DURABLE_MS';

/** PAYLOAD is a CLOB, not JSON: the bytes are the proof. The name of an exam may have 128 characters of four bytes. */
export const columnTypes: Readonly<Record<OracleColumn, string>> = {
  EXAM: 'VARCHAR2(512 BYTE)',
  SESSION_UID: 'VARCHAR2(36 BYTE)',
  STUDENT: `VARCHAR2(${limits.studentBytes} BYTE)`,
  ORDER_NO: 'NUMBER(10)',
  WRITER: 'VARCHAR2(64 BYTE)',
  SEQ: 'NUMBER(10)',
  PAYLOAD: 'CLOB',
  RECEIVED_AT: 'TIMESTAMP(3)',
  DURABLE_AT: 'TIMESTAMP(3)',
  LATE: 'NUMBER(1)',
  SHARD: 'NUMBER(10)',
  RECEIVED_MS: 'NUMBER(15)',
  DURABLE_MS: 'NUMBER(15)',
};

/** The columns that identify an event. */
export const keyColumns = ['SESSION_UID', 'STUDENT', 'WRITER', 'SEQ'] as const;

/** The statements that make the control tables. */
export function controlDdl(user: string, tablespace: string | null): string[] {
  const { exports, attempts, staging } = controlTables;
  return [
    `CREATE TABLE ${qualified(user, exports)} (
  "SESSION_UID" VARCHAR2(36 BYTE) NOT NULL PRIMARY KEY,
  "EXAM" VARCHAR2(512 BYTE) NOT NULL,
  "STATE" VARCHAR2(16 BYTE) NOT NULL,
  "ATTEMPT" NUMBER(10),
  "TARGET" VARCHAR2(261 BYTE),
  "ROW_COUNT" NUMBER(15),
  "DIGEST" VARCHAR2(64 BYTE),
  "ROOT" VARCHAR2(64 BYTE),
  "PUBLISHED_AT" TIMESTAMP(3),
  "BACKUP_NEEDED" NUMBER(1)
)${inTablespace(tablespace)}`,
    `CREATE TABLE ${qualified(user, attempts)} (
  "SESSION_UID" VARCHAR2(36 BYTE) NOT NULL,
  "ATTEMPT" NUMBER(10) NOT NULL,
  "PLAN_DIGEST" VARCHAR2(64 BYTE) NOT NULL,
  "PLAN" CLOB NOT NULL,
  "BEGUN_AT" TIMESTAMP(3) NOT NULL,
  PRIMARY KEY ("SESSION_UID", "ATTEMPT")
)${inTablespace(tablespace)}`,
    `CREATE TABLE ${qualified(user, staging)} (
  "SESSION_UID" VARCHAR2(36 BYTE) NOT NULL,
  "ATTEMPT" NUMBER(10) NOT NULL,
  "SHARD" NUMBER(10) NOT NULL,
  "STAGING_TABLE" VARCHAR2(128 BYTE) NOT NULL,
  "CLAIMED_BY" VARCHAR2(512 BYTE) NOT NULL,
  "CLAIMED_AT" TIMESTAMP(3) NOT NULL,
  "ROW_COUNT" NUMBER(15),
  "BYTES" NUMBER(20),
  "DIGEST" VARCHAR2(64 BYTE),
  "STARTED_AT" TIMESTAMP(3),
  "ENDED_AT" TIMESTAMP(3),
  "LOADED_BY" VARCHAR2(16 BYTE),
  PRIMARY KEY ("SESSION_UID", "ATTEMPT", "SHARD")
)${inTablespace(tablespace)}`,
  ];
}

/** Names and types of what is staged, in the order in which it travels. POSITION is the place in the shard's log. */
export const stagedColumns = [
  ['POSITION', 'NUMBER(15) NOT NULL'],
  ['STUDENT', `${columnTypes.STUDENT} NOT NULL`],
  ['ORDER_NO', 'NUMBER(10) NOT NULL'],
  ['WRITER', `${columnTypes.WRITER} NOT NULL`],
  ['SEQ', 'NUMBER(10) NOT NULL'],
  ['RECEIVED_MS', 'NUMBER(15) NOT NULL'],
  ['DURABLE_MS', 'NUMBER(15) NOT NULL'],
  ['LATE', 'NUMBER(1) NOT NULL'],
  ['PAYLOAD', 'VARCHAR2(4000 BYTE)'],
  ['PAYLOAD_LONG', 'CLOB'],
] as const;

/**
 * The staging table of a shard and attempt. Without indexes and constraints that a direct path load would not keep.
 * NOLOGGING: a restored one has corrupt blocks, and nobody needs it: the next attempt stages the rows again.
 */
export function stagingDdl(user: string, name: string, tablespace: string | null): string {
  const columns = stagedColumns.map(([column, type]) => `${identifier(column)} ${type}`).join(', ');
  const lob = 'LOB ("PAYLOAD_LONG") STORE AS (NOCACHE NOLOGGING)';
  return `CREATE TABLE ${qualified(user, name)} (${columns}) PCTFREE 0${inTablespace(tablespace)} NOLOGGING ${lob}`;
}

/** The statement that makes the target. Its unique key is never dropped or disabled. */
export function targetDdl(place: DdlPlace): string {
  const { owner, table, tablespace, targetLogging } = place;
  const columns = Object.entries(columnTypes).map(
    ([column, type]) => `  ${identifier(column)} ${type}${column.endsWith('_MS') ? '' : ' NOT NULL'}`,
  );
  const logging = targetLogging === 'Logging' ? 'LOGGING' : 'NOLOGGING';
  return `CREATE TABLE ${qualified(owner, table)} (
${columns.join(',\n')},
  CONSTRAINT ${identifier(keyName(table))} UNIQUE ${keyOf(place)}
)${inTablespace(tablespace)} ${logging}
LOB ("PAYLOAD") STORE AS (ENABLE STORAGE IN ROW NOCACHE ${logging})${partitions(place)}`;
}

/**
 * Partitioned by exam, the key holds EXAM too, last, and lies in the partitions, so that one exam can be moved, exchanged
 * or dropped by itself. That changes nothing: all rows of a session are of one exam.
 */
function keyOf({ partition }: DdlPlace): string {
  const key = keyColumns.map(identifier).join(', ');
  return partition === 'List' ? `(${key}, "EXAM") USING INDEX LOCAL` : `(${key})`;
}

function partitions({ partition }: DdlPlace): string {
  switch (partition) {
    case 'None':
      return '';
    case 'List':
      return `\nPARTITION BY LIST ("EXAM") AUTOMATIC (PARTITION "NO_EXAM" VALUES (${literal('-')}))`;
    case 'Interval':
      return `\nPARTITION BY RANGE ("DURABLE_AT") INTERVAL (NUMTOYMINTERVAL(1, 'MONTH')) (PARTITION "BEFORE_1971" VALUES LESS THAN (TIMESTAMP '1971-01-01 00:00:00'))`;
  }
}

function inTablespace(tablespace: string | null): string {
  return tablespace === null ? '' : ` TABLESPACE ${identifier(tablespace)}`;
}

/** What the user needs, granted by an administrator. @param tablespace null: the user's default one */
export function userGrants(place: DdlPlace): string[] {
  const user = identifier(place.user);
  const quota = place.tablespace === null ? [] : [quotaSql(place.user, place.tablespace)];
  return [`GRANT CREATE SESSION, CREATE TABLE TO ${user}`, ...quota, `GRANT SELECT ON SYS.V_$DATABASE TO ${user}`];
}

export function quotaSql(user: string, tablespace: string): string {
  return `ALTER USER ${identifier(user)} QUOTA UNLIMITED ON ${identifier(tablespace)}`;
}

/** What the user needs on a target of another owner. */
export function targetGrants({ user, owner, table }: DdlPlace): string[] {
  if (user === owner) return [];
  return [`GRANT SELECT, INSERT ON ${qualified(owner, table)} TO ${identifier(user)}`];
}

/** Everything that `untradex ddl oracle` prints: sections with a heading, and statements without a semicolon. */
export function ddlScript(place: DdlPlace): { readonly heading: string; readonly statements: readonly string[] }[] {
  return [
    {
      heading: 'As an administrator: what the exporter needs, beside a quota on the tablespace of its tables',
      statements: userGrants(place),
    },
    {
      heading: `As ${place.user}: what is known of exports (made by the exporter when it is missing)`,
      statements: controlDdl(place.user, place.tablespace),
    },
    {
      heading: `As ${place.owner}: where the answers go${place.user === place.owner ? ' (made by the exporter when it is missing)' : ''}`,
      statements: [targetDdl(place), ...targetGrants(place)],
    },
  ];
}
