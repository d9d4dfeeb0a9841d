/** Moments between which a crash leaves different things behind. Tests kill the exporter at every one of them. */
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

const wanted = process.env.UNTRADEX_CRASH_AT;

/** Does nothing, unless the environment variable UNTRADEX_CRASH_AT names this point: then the process is killed. */
export function crashPoint(point: CrashPoint): void {
  if (wanted === point) process.kill(process.pid, 'SIGKILL');
}
