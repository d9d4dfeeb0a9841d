import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { DuckdbSettings } from '#exporter/config.ts';
import { createDuckdbSink } from '#exporter/sinks/duckdb/sink.ts';
import type { SinkTarget } from '#test/conformance/sink.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** Runs one statement on a DuckDB file, in this process. */
export async function duckdbSql(path: string, statement: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(statement)).getRowObjectsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** An empty folder with a sink on it. */
export function duckdbTarget(changes: Partial<DuckdbSettings> = {}): SinkTarget & { readonly folder: string } {
  const folder = tmpFolder('duckdb');
  const database = join(folder, 'exams.duckdb');
  const settings = { database, memoryMb: 128, threads: 2, lockWaitSeconds: 10 };
  return {
    folder,
    open(sessionUid) {
      const staging = join(folder, `export-${sessionUid}`);
      const sink = createDuckdbSink({ ...settings, staging, ...changes });
      onScopeEnd(() => sink.close());
      return sink;
    },
    sql: (statement) => duckdbSql(database, statement),
  };
}
