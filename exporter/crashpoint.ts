/** Moments between which a crash leaves different things behind. Tests kill or pause the exporter at them. */
export const crashPoints = [
  'load:frozen',
  'load:claimed',
  'load:half',
  'load:written',
  'load:renamed',
  'load:recorded',
  'publish:opened',
  'publish:begun',
  'publish:inserted',
  'publish:before-commit',
  'publish:committed',
  'publish:checkpointed',
  'verify:log-read',
  'verify:half',
  'report:written',
] as const;

export type CrashPoint = (typeof crashPoints)[number];

const crashAt = process.env.UNTRADEX_CRASH_AT;
let pauseAt = process.env.UNTRADEX_PAUSE_AT;

/**
 * Does nothing, unless an environment variable names this point: with UNTRADEX_CRASH_AT the process is killed, with
 * UNTRADEX_PAUSE_AT it stands still, once, until somebody sends SIGCONT, as on a machine that was suspended.
 */
export function crashPoint(point: CrashPoint): void {
  if (crashAt === point) process.kill(process.pid, 'SIGKILL');
  if (pauseAt !== point) return;
  pauseAt = undefined;
  process.kill(process.pid, 'SIGSTOP');
}
