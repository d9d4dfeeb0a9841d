import type { ExporterConfig } from './config.ts';
import type { Sink } from './sink.ts';
import { createDuckdbSink } from './sinks/duckdb/sink.ts';
import { createOracleSink } from './sinks/oracle/sink.ts';
import { createPostgresSink } from './sinks/postgres/sink.ts';

/** The sink that the configuration names. */
export function openSink({ sink }: ExporterConfig, signal: AbortSignal): Sink {
  switch (sink.kind) {
    case 'duckdb':
      return createDuckdbSink(sink, signal);
    case 'oracle':
      return createOracleSink(sink, signal);
    case 'postgres':
      return createPostgresSink(sink, signal);
  }
}
