import { eventsOf } from '#exporter/attempt.ts';
import { type ExporterConfig, readConfig } from '#exporter/config.ts';
import { problem } from '#queue/problem.ts';
import { readExportedRows } from './exportedrows.ts';
import { openLedgerText } from './ledger.ts';
import { createRowPrinter, type PrintedRows } from './rowlines.ts';
import type { Verdict } from './verdict.ts';

/** A verdict with what was printed before it, when rows were asked for. */
export interface TargetVerdict extends Verdict {
  readonly printed: PrintedRows | null;
}

/**
 * Proves an export from within a cluster, where its rows can be read.
 * @param file an exporter's configuration: where the rows are, and what was sealed
 * @param withRows prints every row to stdout (rowlines.ts), for who compares them elsewhere
 * @throws Problem `exporter_config_invalid`, `session_unknown`
 */
export async function verifyTarget(
  name: string,
  file: string,
  withRows: boolean,
  signal: AbortSignal,
): Promise<TargetVerdict> {
  const config = readTarget(name, file);
  const output = withRows ? openLedgerText('-') : null;
  const printer = output === null ? null : createRowPrinter(output);
  try {
    const rows = await readExportedRows(config, { signal, ...(printer && { onRows: printer.print }) });
    return {
      name,
      database: config.target,
      table: config.plan.table,
      sealedRoot: config.plan.root,
      sealedEvents: eventsOf(config.plan),
      rows,
      queue: null,
      ledger: null,
      printed: printer?.printed ?? null,
    };
  } finally {
    output?.close();
  }
}

/** The configuration, of this session. */
export function readTarget(name: string, file: string): ExporterConfig {
  const config = readConfig(file);
  const { session } = config.plan;
  if (session.name === name) return config;
  throw problem('session_unknown', `${file} is of the session ${session.name}, not ${name}`, `name ${session.name}`);
}
