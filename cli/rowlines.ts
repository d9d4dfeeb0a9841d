import { createHash, hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '#exporter/row.ts';
import type { LedgerText } from './ledger.ts';

/**
 * Rows as lines of text, for a pod whose only way out is its log: CSV of student, writer, seq, order_no and the
 * payload's SHA-256, as compare.ts takes it. A log may lose lines on its way, so both sides digest what they see.
 */
export interface RowPrinter {
  /** Waits when it is ahead of the pace. */
  print(batch: readonly Row[]): Promise<void>;
  readonly printed: PrintedRows;
}

/** What was printed: how many lines, and the SHA-256 (hex) over them, each with its line break. */
export interface PrintedRows {
  readonly lines: number;
  readonly sha256: string;
}

/**
 * A node keeps some 50 MiB of a container's log at least, looks every ten seconds whether it has become too large, and
 * throws the oldest away, whoever may still want to read it. A reader keeps up with this pace.
 */
const bytesPerSecond = 4 * 1_048_576;

/** @param output takes the lines; closing it is the caller's */
export function createRowPrinter(output: Pick<LedgerText, 'append' | 'flush'>, pace = bytesPerSecond): RowPrinter {
  const digest = digestLines();
  const startedAt = performance.now();
  let bytes = 0;
  return {
    async print(batch) {
      for (const row of batch) {
        const line = rowLine(row);
        output.append(line);
        bytes += digest.add(line);
      }
      const aheadMs = (bytes / pace) * 1_000 - (performance.now() - startedAt);
      if (aheadMs < 1) return;
      output.flush();
      await sleep(aheadMs);
    },
    get printed() {
      return digest.seen;
    },
  };
}

/** Both sides' account of the lines. */
export function digestLines(): { add(line: string): number; readonly seen: PrintedRows } {
  const running = createHash('sha256');
  let lines = 0;
  return {
    add(line) {
      const text = Buffer.from(`${line}\n`);
      running.update(text);
      lines++;
      return text.length;
    },
    get seen() {
      return { lines, sha256: running.copy().digest('hex') };
    },
  };
}

/** True for lines of `rowLine`, and for nothing else that a command prints. */
export function isRowLine(line: string): boolean {
  return line.startsWith('"');
}

/** Quotes are doubled; line breaks no student or writer has. */
export function rowLine({ student, writer, seq, orderNo, payload }: Row): string {
  return `${quoted(student)},${quoted(writer)},${seq},${orderNo},${hash('sha256', payload, 'hex')}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
