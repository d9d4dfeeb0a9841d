import { hash } from 'node:crypto';
import { compareEntryIds } from './entryid.ts';
import { emptyDigest, entryCodecs } from './keys.ts';
import { type Problem, problem } from './problem.ts';

/** What an entry of the log says about itself. `total` stands in the seal only. */
export interface EntryHead {
  readonly id: string;
  readonly codec: string;
  readonly count: number;
  readonly digest: string;
  readonly total: number | null;
}

/** What `state` said when the reading began. Null ids: there is no entry, no seal. */
export interface LogExpectation {
  readonly lastId: string | null;
  readonly sealId: string | null;
  readonly events: number;
  readonly digest: string;
}

/** Compares the log, entry by entry, with its own sums. Every method throws Problem `log_corrupt`. */
export interface LogCheck {
  /** Takes the next entry, in order. */
  entry(head: EntryHead): void;
  /** No more entries came. */
  end(): void;
}

/**
 * Finds what is missing, doubled or reordered in a log that is read from its beginning. Read from further on (after the
 * entry `after`), it can only tell whether the end is there and nothing follows the seal.
 */
export function checkLog(expected: LogExpectation, after: string | null): LogCheck {
  let events = 0;
  let digest: string = emptyDigest;
  let sealId: string | null = null;
  let lastId = after ?? '0-0';

  function compareSums(id: string, said: { readonly events: number | null; readonly digest: string }): void {
    if (after !== null) return;
    if (said.events !== events) throw corruptLog(id, `comes after ${events} events, not ${said.events}`);
    if (said.digest !== digest) throw corruptLog(id, `comes after the digest ${digest}, not ${said.digest}`);
  }

  return {
    entry(head) {
      const { id } = head;
      if (sealId !== null) throw corruptLog(id, `follows the seal ${sealId}`);
      lastId = id;
      if (head.codec === entryCodecs.seal) {
        compareSums(id, { events: head.total, digest: head.digest });
        sealId = id;
        if (expected.sealId !== null && expected.sealId !== id)
          throw corruptLog(id, `is not the seal ${expected.sealId}`);
      } else {
        events += head.count;
        digest = hash('sha1', `${digest}:${head.digest}:${head.count}`, 'hex');
      }
      if (id === expected.lastId) compareSums(id, expected);
    },
    end() {
      if (expected.lastId !== null && compareEntryIds(lastId, expected.lastId) < 0) {
        throw corruptLog(lastId, `is the last one, but ${expected.lastId} was written`);
      }
    },
  };
}

/** An entry of the log that cannot be as it was written. */
export function corruptLog(id: string, what: string, cause?: unknown): Problem {
  return problem(
    'log_corrupt',
    `entry ${id} of the log ${what}`,
    'The log is damaged: keep the volume, restore a copy of its append-only file, and export from that.',
    { cause },
  );
}
