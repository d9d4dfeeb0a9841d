import type { SessionStatus } from '#operator/status.ts';
import { count } from './output.ts';
import { type Progress, startProgress } from './progress.ts';

/** Shows an export on the terminal: give it each status, and stop it in the end. */
export function startExportProgress(): { show(status: SessionStatus): void } & Pick<Progress, 'say' | 'stop'> {
  const progress = startProgress('exporting', 1);
  return {
    show({ export: state }) {
      if (state === null) return;
      const { step, rows, total, rowsPerSecond } = state;
      progress.update(rows, `${step} ${count(rows)} rows, ${count(rowsPerSecond)}/s`, Math.max(total, 1));
    },
    say: progress.say,
    stop: progress.stop,
  };
}
