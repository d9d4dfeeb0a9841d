import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** One acknowledged event as the student's side saw it. `sha256` is the hex digest of the payload bytes. */
export interface LedgerEntry {
  readonly student: string;
  readonly writer: string;
  readonly seq: number;
  readonly sha256: string;
}

export interface Ledger {
  /** How many entries were appended. */
  readonly entries: number;
  append(entry: LedgerEntry): void;
  /** Hands everything to the operating system. */
  flush(): void;
  /** Flushes, syncs and closes; the ledger is then on the disk. */
  close(): void;
}

/** Characters held back at most before they are written. */
const bufferLimit = 65_536;
const flushEveryMs = 200;
const fullPipeMs = 5;

/**
 * Opens the ledger: NDJSON, one line an acknowledged event, written by the students' side alone. What it holds is
 * what the exported table must hold.
 *
 * `-` is stdout, for a program whose files nobody can fetch: the lines stand there before whatever is told at the end.
 *
 * The buffer is bounded: it is written synchronously when it reaches 64 Ki characters, and every 200 ms; lines are
 * never written in part.
 * @param mode `fresh` empties the file first; `add` appends to it
 */
export function openLedger(path: string, mode: 'fresh' | 'add'): Ledger {
  const text = openLedgerText(path, mode);
  return {
    get entries() {
      return text.entries;
    },
    append({ student, writer, seq, sha256 }) {
      text.append(JSON.stringify({ student, writer, seq, sha256 }));
    },
    flush: text.flush,
    close: text.close,
  };
}

/** The same of lines that somebody else made. */
export interface LedgerText extends Omit<Ledger, 'append'> {
  append(line: string): void;
}

export function openLedgerText(path: string, mode: 'fresh' | 'add' = 'add'): LedgerText {
  const isFile = path !== '-';
  if (isFile) mkdirSync(dirname(path), { recursive: true });
  const file = isFile ? openSync(path, mode === 'fresh' ? 'w' : 'a') : 1;
  let buffer = '';
  let entries = 0;
  const flush = () => {
    if (buffer === '') return;
    writeAll(file, Buffer.from(buffer));
    buffer = '';
  };
  const timer = setInterval(flush, flushEveryMs).unref();
  return {
    get entries() {
      return entries;
    },
    append(line) {
      buffer += `${line}\n`;
      entries++;
      if (buffer.length >= bufferLimit) flush();
    },
    flush,
    close() {
      clearInterval(timer);
      flush();
      if (!isFile) return;
      fsyncSync(file);
      closeSync(file);
    },
  };
}

function writeAll(file: number, bytes: Buffer): void {
  let done = 0;
  while (done < bytes.length) {
    try {
      done += writeSync(file, bytes, done);
    } catch (error) {
      // A pipe whose reader is slow. Whoever answers waits with the ledger: it is the proof.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullPipeMs);
    }
  }
}

/** For who wants none: counts the entries and keeps nothing. */
export function countingLedger(): Ledger {
  let entries = 0;
  return {
    get entries() {
      return entries;
    },
    append() {
      entries++;
    },
    flush() {},
    close() {},
  };
}
