import type { LogLine } from './podlog.ts';

/**
 * Where a reader of a log is: at the last line that it has seen. What is read again from there on (a log can be asked
 * for by whole seconds only) is passed over, also where several lines have the same time.
 */
export interface LogPosition {
  /** For the next read; undefined before the first line. */
  readonly sinceTime: string | undefined;
  /** Those that are new, and moves on with each. */
  fresh(lines: AsyncIterable<LogLine>): AsyncGenerator<LogLine, void, undefined>;
}

export function createLogPosition(): LogPosition {
  let at = '';
  let seen = 0;
  return {
    get sinceTime() {
      return at === '' ? undefined : `${at.slice(0, 19)}Z`;
    },
    async *fresh(lines) {
      const from = at;
      let again = seen;
      for await (const line of lines) {
        // Lines without a time are the node's own, about the log.
        if (line.at === '') {
          yield line;
          continue;
        }
        if (line.at < from) continue;
        if (line.at === from && again > 0) {
          again--;
          continue;
        }
        seen = line.at === at ? seen + 1 : 1;
        at = line.at;
        yield line;
      }
    },
  };
}

/** A time of a log in UTC with nine decimals, so that times of all nodes sort as text; empty when it is none. */
export function utcTime(text: string): string {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(text)) return text;
  const [, time, decimals = '', zone] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  if (time === undefined) return '';
  return `${new Date(`${time}${zone}`).toISOString().slice(0, 19)}.${decimals.padEnd(9, '0')}Z`;
}
