import type { ExporterConfig } from '#exporter/config.ts';
import { openSink } from '#exporter/opensink.ts';
import type { Row } from '#exporter/row.ts';
import { type RowsVerdict, verifyRows } from './verifyrows.ts';

export interface ReadRowsOptions {
  readonly signal: AbortSignal;
  /** Sees every row too; the next ones come when it has resolved. */
  readonly onRows?: (batch: readonly Row[]) => Promise<void>;
}

/** Reads back the rows that an attempt published, from the table itself, and says what they prove. */
export async function readExportedRows(config: ExporterConfig, options: ReadRowsOptions): Promise<RowsVerdict> {
  const sink = openSink(config, options.signal);
  try {
    await sink.prepare(config.plan);
    return await verifyRows(config.plan.session.uid, seen(sink.readBack(), options.onRows));
  } finally {
    await sink.close();
  }
}

async function* seen(batches: AsyncIterable<readonly Row[]>, onRows: ReadRowsOptions['onRows']) {
  for await (const batch of batches) {
    await onRows?.(batch);
    yield batch;
  }
}
