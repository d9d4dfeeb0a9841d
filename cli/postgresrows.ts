import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { PostgresSettings } from '#exporter/sinks/postgres/config.ts';
import { connect } from '#exporter/sinks/postgres/connection.ts';
import { literal, qualified } from '#exporter/sinks/postgres/names.ts';

/**
 * Writes what PostgreSQL holds of a session to a CSV file without a header: student, writer, seq, order_no, and the
 * payload's SHA-256, which the server computes. Only the connection is the exporter's: what is asked is asked here.
 */
export async function writeRows(
  settings: PostgresSettings,
  { table, sessionUid, file }: { readonly table: string; readonly sessionUid: string; readonly file: string },
): Promise<void> {
  const session = await connect(settings);
  try {
    const rows = `SELECT "STUDENT", "WRITER", "SEQ", "ORDER_NO", encode(sha256(convert_to("PAYLOAD", 'UTF8')), 'hex')
      FROM ${qualified(settings.schema, table)} WHERE "SESSION_UID" = ${literal(sessionUid)}`;
    await pipeline(session.copyOut(`COPY (${rows}) TO STDOUT (FORMAT csv)`), createWriteStream(file, { mode: 0o600 }));
  } finally {
    await session.close();
  }
}
