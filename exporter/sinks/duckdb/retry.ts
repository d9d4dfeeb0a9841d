import { isProblem, problem } from '#queue/problem.ts';

/** What an error of DuckDB means for the attempt. */
export type DuckdbTrouble =
  /** Somebody else has the database open. Waiting helps. `pid` when the error tells it. */
  | { readonly kind: 'locked'; readonly pid: number | null; readonly holder: string | null }
  /** The file is no database of a version that this DuckDB reads. A person must look. */
  | { readonly kind: 'unusable' }
  /** No room on the disk or in memory: a later attempt may find some. */
  | { readonly kind: 'full' }
  /** Anything else: nothing was committed, a new attempt may work. */
  | { readonly kind: 'other' };

// Texts of DuckDB 1.5. It takes fcntl locks, so the kernel knows the holder, and the error names it:
//   IO Error: Could not set lock on file "...": Conflicting lock is held in /usr/bin/node (PID 4711) by user ann.
const lock = /could not set lock on file|conflicting lock is held|already open in/i;
const lockHolder = /lock is held in (.*?) \(PID (\d+)\)/i;
const unusable =
  /not a valid DuckDB database|database file .* newer version|older (internal )?storage version|corrupt|checksum/i;
const full = /no space left|disk quota|max_temp_directory_size|out of memory|failed to allocate/i;

/** Judges an error by its text: DuckDB has no codes. */
export function duckdbTrouble(error: unknown): DuckdbTrouble {
  const text = error instanceof Error ? error.message : String(error);
  if (lock.test(text)) {
    const [, holder, pid] = lockHolder.exec(text) ?? [];
    return { kind: 'locked', pid: pid === undefined ? null : Number(pid), holder: holder ?? null };
  }
  if (unusable.test(text)) return { kind: 'unusable' };
  if (full.test(text)) return { kind: 'full' };
  return { kind: 'other' };
}

/** The same error as a Problem, where more can be said than DuckDB does. */
export function sinkProblem(error: unknown): unknown {
  if (isProblem(error) || duckdbTrouble(error).kind !== 'full') return error;
  return problem(
    'sink_full',
    `DuckDB has no room: ${(error as Error).message}`,
    'Free room on the volumes of sink.staging and sink.database, or raise sink.memoryMb. It is tried again by itself.',
    { cause: error },
  );
}
