import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The gateway's log: JSON lines on stdout. Nobody gives it a token, a payload or a URL with its query; the redaction is
 * the second lock, for objects that a library might hand over.
 */
export function createLog(level: string, session: { readonly name: string; readonly uid: string }): Logger {
  return pino({
    level,
    base: { pid: process.pid, program: 'gateway', session: session.name, uid: session.uid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        'token',
        'password',
        'authorization',
        'access_token',
        'payload',
        'event',
        'url',
        'req',
        'headers',
      ].flatMap((name) => [name, `*.${name}`]),
      remove: true,
    },
  });
}
