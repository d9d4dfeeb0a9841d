import { type Logger, pino } from 'pino';

export type { Logger };

/** The exporter's log: JSON lines on stderr, since stdout is for results. No payload, no password is ever given to it. */
export function createLog(level: string, base: Readonly<Record<string, unknown>>): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid, program: 'exporter', ...base },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: ['password', '*.password', 'payload', '*.payload'], remove: true },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
