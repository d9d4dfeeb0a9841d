import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { OracleSettings } from '#exporter/sinks/oracle/config.ts';
import type { PostgresSettings } from '#exporter/sinks/postgres/config.ts';
import { problem } from '#queue/problem.ts';

/** What was found; with a kept promise everything from `missing` on is 0. */
export interface Comparison {
  /** Events in the ledger. */
  readonly acknowledged: number;
  /** Rows of the session in the table. May exceed `acknowledged`: the reply to an event may be lost in a crash. */
  readonly exported: number;
  /** Students with a row. */
  readonly students: number;
  /** Events in the ledger without a row. */
  readonly missing: number;
  /** Rows beyond the first of the same (student, writer, seq). */
  readonly duplicated: number;
  /** Rows whose ORDER_NO or SEQ does not follow the one before, per student and per writer. */
  readonly outOfOrder: number;
  /** Events whose row holds other bytes than were acknowledged. */
  readonly wrongBytes: number;
  /** Rows that repeat a payload of the same student under another seq. Only counted with `uniquePayloads`. */
  readonly repeatedPayloads: number;
  /** A few of the offenders, in words. */
  readonly examples: readonly string[];
}

export interface CompareOptions {
  /** NDJSON of {student, writer, seq, sha256}. */
  readonly ledger: string;
  /**
   * The exported DuckDB file, closed by its writer, which is opened read-only; the server with the table; or a CSV
   * file of the rows, where they were read elsewhere: student, writer, seq, order_no, SHA-256.
   */
  readonly database: string | PostgresSettings | OracleSettings | { readonly rows: string };
  /** EXAM_ANSWERS, or EXAM_ANSWERS_REHEARSAL for a rehearsal. */
  readonly table: string;
  readonly sessionUid: string;
  /** The students never sent the same payload twice, so that a repeat is a fault. */
  readonly uniquePayloads?: boolean;
}

/** True when nothing that was acknowledged is missing, there twice, out of order or changed. */
export function isKept(found: Comparison): boolean {
  return found.missing + found.duplicated + found.outOfOrder + found.wrongBytes + found.repeatedPayloads === 0;
}

/**
 * Compares what the students' side saw acknowledged with what the exported table holds. It shares nothing with the
 * exporter's own verification: it reads the ledger and the table, in SQL, and believes neither log nor report.
 * @throws Problem `ledger_invalid`, `database_unreadable`
 */
export async function compareLedger(options: CompareOptions): Promise<Comparison> {
  refuseTornLedger(options.ledger);
  const { database } = options;
  const instance = await openReadOnly(typeof database === 'string' ? database : null);
  try {
    const connection = await instance.connect();
    try {
      await takeLedger(connection, options.ledger);
      if (typeof database === 'string') await takeRows(connection, options);
      else if ('rows' in database) await takeRowsFile(connection, database.rows);
      else await takeServerRows(connection, database, options);
      return await findFaults(connection, options.uniquePayloads === true);
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

async function openReadOnly(path: string | null): Promise<DuckDBInstance> {
  try {
    const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
    if (path === null) return instance;
    const connection = await instance.connect();
    await connection.run(`attach ${quoted(path)} as exported (read_only)`);
    connection.closeSync();
    return instance;
  } catch (cause) {
    const message = `the database ${path} cannot be read: ${(cause as Error).message}`;
    throw problem('database_unreadable', message, 'wait until the session is Completed; nobody else may write to it', {
      cause,
    });
  }
}

async function takeLedger(connection: DuckDBConnection, path: string): Promise<void> {
  const columns = "{student: 'varchar', writer: 'varchar', seq: 'bigint', sha256: 'varchar'}";
  try {
    await connection.run(
      `create table ledger as select distinct student, writer, seq, sha256
       from read_json(${quoted(path)}, format = 'newline_delimited', columns = ${columns})`,
    );
  } catch (cause) {
    throw ledgerInvalid(path, (cause as Error).message, cause);
  }
  const broken = `student is null or writer is null or seq is null or seq < 1 or not regexp_full_match(coalesce(sha256, ''), '[0-9a-f]{64}')`;
  const [row] = await rows(connection, `select count(*)::double n from ledger where ${broken}`);
  if (Number(row?.n) > 0) throw ledgerInvalid(path, `${row?.n} lines lack student, writer, seq or sha256`);
}

async function takeRows(connection: DuckDBConnection, options: CompareOptions): Promise<void> {
  try {
    await connection.run(
      `create table answers as
       select STUDENT student, WRITER writer, SEQ::bigint seq, ORDER_NO::bigint order_no, sha256(PAYLOAD) sha256
       from exported.${identifier(options.table)} where SESSION_UID = ${quoted(options.sessionUid)}`,
    );
  } catch (cause) {
    const message = `the table ${options.table} cannot be read: ${(cause as Error).message}`;
    throw problem('database_unreadable', message, 'compare with the database that the session exported', { cause });
  }
}

/** Through a file: rows that are compared need not fit into our own memory. */
async function takeServerRows(
  connection: DuckDBConnection,
  settings: PostgresSettings | OracleSettings,
  { table, sessionUid }: CompareOptions,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'untradex-compare-'));
  const file = join(folder, 'rows.csv');
  try {
    await writeServerRows(settings, { table, sessionUid, file });
    await takeRowsFile(connection, file);
  } catch (cause) {
    const message = `the table ${table} cannot be read: ${(cause as Error).message}`;
    throw problem('database_unreadable', message, 'compare with the database that the session exported', { cause });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeServerRows(
  settings: PostgresSettings | OracleSettings,
  what: { readonly table: string; readonly sessionUid: string; readonly file: string },
): Promise<void> {
  if ('connectString' in settings) await (await import('./oraclerows.ts')).writeRows(settings, what);
  else await (await import('./postgresrows.ts')).writeRows(settings, what);
}

async function takeRowsFile(connection: DuckDBConnection, file: string): Promise<void> {
  const columns = "{student: 'varchar', writer: 'varchar', seq: 'bigint', order_no: 'bigint', sha256: 'varchar'}";
  await connection.run(
    `create table answers as from read_csv(${quoted(file)}, auto_detect = false, header = false, delim = ',',
       quote = '"', escape = '"', columns = ${columns})`,
  );
}

/** Each fault as a query that lists the offenders: {student, writer, seq, n} with n = how many it stands for. */
const faults = {
  missing: `select distinct l.student, l.writer, l.seq, 1 n from ledger l
    where not exists (from answers a where a.student = l.student and a.writer = l.writer and a.seq = l.seq)`,
  duplicated: `select student, writer, seq, count(*) - 1 n from answers group by all having count(*) > 1`,
  outOfOrder: `select student, writer, seq, 1 n from (
      select *,
        coalesce(lag(order_no) over (partition by student order by order_no, seq), 0) + 1 as next_order,
        coalesce(lag(seq) over (partition by student, writer order by order_no, seq), 0) + 1 as next_seq
      from answers) where order_no <> next_order or seq <> next_seq`,
  wrongBytes: `select distinct l.student, l.writer, l.seq, 1 n from ledger l
    join answers a on a.student = l.student and a.writer = l.writer and a.seq = l.seq where a.sha256 <> l.sha256`,
  repeatedPayloads: `select student, max(writer) writer, max(seq) seq, count(distinct (writer, seq)) - 1 n
    from answers group by student, sha256 having count(distinct (writer, seq)) > 1`,
} as const;

async function findFaults(connection: DuckDBConnection, uniquePayloads: boolean): Promise<Comparison> {
  const total = async (sql: string) => Number((await rows(connection, sql))[0]?.n ?? 0);
  const examples: string[] = [];
  const faulty = async (name: keyof typeof faults) => {
    const found = await total(`select coalesce(sum(n), 0)::double n from (${faults[name]})`);
    if (found === 0) return 0;
    for (const row of await rows(connection, `from (${faults[name]}) order by all limit 5`)) {
      examples.push(`${name}: student ${row.student}, writer ${row.writer}, seq ${row.seq}`);
    }
    return found;
  };
  return {
    acknowledged: await total('select count(distinct (student, writer, seq))::double n from ledger'),
    exported: await total('select count(*)::double n from answers'),
    students: await total('select count(distinct student)::double n from answers'),
    missing: await faulty('missing'),
    duplicated: await faulty('duplicated'),
    outOfOrder: await faulty('outOfOrder'),
    wrongBytes: await faulty('wrongBytes'),
    repeatedPayloads: uniquePayloads ? await faulty('repeatedPayloads') : 0,
    examples,
  };
}

async function rows(connection: DuckDBConnection, sql: string): Promise<Record<string, unknown>[]> {
  return (await connection.runAndReadAll(sql)).getRowObjectsJS();
}

/**
 * A ledger whose writer was killed may end in half a line; guessing what it meant would be no proof.
 * @throws Problem `ledger_invalid`, also when it cannot be opened
 */
export function refuseTornLedger(path: string): void {
  const file = openLedgerFile(path);
  try {
    const { size } = fstatSync(file);
    if (size === 0) return;
    const last = Buffer.alloc(1);
    readSync(file, last, 0, 1, size - 1);
    if (last[0] !== 0x0a) throw ledgerInvalid(path, 'its last line is cut off');
  } finally {
    closeSync(file);
  }
}

function openLedgerFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw ledgerInvalid(path, (cause as Error).message, cause);
  }
}

function ledgerInvalid(path: string, why: string, cause?: unknown): Error {
  const remedy = 'give the NDJSON that demo or rehearse wrote with --ledger: {student, writer, seq, sha256} a line';
  return problem('ledger_invalid', `the ledger ${path} cannot be read: ${why}`, remedy, { cause });
}

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
const identifier = (text: string) => `"${text.replaceAll('"', '""')}"`;
