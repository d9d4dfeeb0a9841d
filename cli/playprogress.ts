import { count } from './output.ts';
import { type Progress, startProgress } from './progress.ts';
import type { Play } from './students.ts';

/** Shows a play on the terminal until `stop`: how many of all answers are acknowledged. */
export function showPlay({ now }: Play, { students, events }: { students: number; events: number }): Progress {
  const progress = startProgress('answers', students * events);
  const show = () => {
    const { acknowledged, connected, finished } = now;
    const detail = `${count(acknowledged)} acknowledged, ${count(connected)} connected, ${count(finished)} finished`;
    progress.update(acknowledged, detail);
  };
  const timer = setInterval(show, 200);
  return {
    ...progress,
    stop() {
      clearInterval(timer);
      show();
      progress.stop();
    },
  };
}
