import { type Problem, problem } from '#queue/problem.ts';
import type { Row } from '../row.ts';

/** What the sinks that stage in tables have in common. */

/** The same rows, and what reading them failed with, if it did. */
export function watched(rows: AsyncIterable<readonly Row[]>) {
  let failure: unknown;
  return {
    rows: (async function* () {
      try {
        yield* rows;
      } catch (error) {
        failure = error;
        throw error;
      }
    })(),
    failure: () => failure,
  };
}

export function ambiguous(shard: number, holder: string): Problem {
  return problem(
    'staging_ambiguous',
    `shard ${shard} of this attempt was claimed by another loader that has not finished (${holder})`,
    'Nothing is lost: begin a new attempt. This one is never continued, since nobody can know what that loader still does.',
  );
}

/** A duplicate is a defect that must be seen, so none is ever removed. */
export function doubled(which: string): Problem {
  return problem(
    'rows_doubled',
    `rows of the same student, writer and seq were staged (${which})`,
    'This is a defect: nothing was published and nothing may be released. Keep the volumes and the staging tables, and report it.',
  );
}
