import { isProblem, type Problem, problem } from '#queue/problem.ts';

/** What the programs of the exporter end with; whoever runs them relies on it. */
export const exitCodes = {
  done: 0,
  /** A person must mend something first; the last line says what. */
  forGood: 1,
  /** A new attempt may work (EX_TEMPFAIL of sysexits.h). */
  tryAgain: 75,
} as const;

/**
 * Problems that a new attempt would only meet again. Everything else, also what nobody has thought of, is tried again:
 * an export that waits is better than one that is given up in silence.
 */
const forGood: ReadonlySet<string> = new Set([
  'usage',
  'exporter_config_invalid',
  // The queue is not what was sealed.
  'shard_foreign',
  'shard_config',
  'shard_access',
  'shard_lost',
  'log_not_sealed',
  'log_corrupt',
  'batch_corrupt',
  'state_corrupt',
  'log_misplaced',
  'witness_differs',
  // The target is not as it must be.
  'staging_foreign',
  'target_unfit',
  'target_has_rows',
  'database_unusable',
  'database_unprepared',
  'database_refused',
  'database_corrupt',
  'published_elsewhere',
  'rows_doubled',
  'exporter_defect',
  'verify_failed',
]);

/** The exit code that an error leads to. */
export function exitCodeOf(error: unknown): number {
  return isProblem(error) && forGood.has(error.code) ? exitCodes.forGood : exitCodes.tryAgain;
}

/** Any error as a Problem. */
export function problemOf(error: unknown): Problem {
  if (isProblem(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return problem(
    'unexpected',
    message,
    'It is tried again in a new attempt. If it stays, report it, with the log of the exporter.',
    { cause: error },
  );
}

/** The Problem of a program that was told to end. */
export function interrupted(signal: string): Problem {
  return problem(
    'interrupted',
    `the exporter was ended by ${signal}`,
    'Nothing is lost: the next attempt begins with staging of its own.',
  );
}
