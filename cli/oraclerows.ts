import { hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { OracleSettings } from '#exporter/sinks/oracle/config.ts';
import { connect } from '#exporter/sinks/oracle/connection.ts';
import { qualified } from '#exporter/sinks/oracle/names.ts';

/**
 * Writes what Oracle holds of a session to a CSV file without a header: student, writer, seq, order_no, and the
 * payload's SHA-256, which Oracle does not compute of a CLOB. Only the connection is the exporter's: what is asked is
 * asked here.
 */
export async function writeRows(
  settings: OracleSettings,
  { table, sessionUid, file }: { readonly table: string; readonly sessionUid: string; readonly file: string },
): Promise<void> {
  const session = await connect(settings);
  try {
    const sql = `SELECT "STUDENT", "WRITER", "SEQ", "ORDER_NO", "PAYLOAD"
      FROM ${qualified(settings.schema ?? session.user, table)} WHERE "SESSION_UID" = :1`;
    const lines = async function* () {
      for await (const rows of session.stream(sql, [sessionUid], 500)) yield rows.map(lineOf).join('');
    };
    await pipeline(lines(), createWriteStream(file, { mode: 0o600 }));
  } finally {
    await session.close();
  }
}

function lineOf([student, writer, seq, orderNo, payload]: unknown[]): string {
  const quoted = [student, writer].map((text) => `"${String(text).replaceAll('"', '""')}"`);
  return `${[...quoted, seq, orderNo, hash('sha256', String(payload), 'hex')].join(',')}\n`;
}
