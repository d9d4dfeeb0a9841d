import type { LocalStatus } from '#operator/local/statusfile.ts';
import { count, json } from './output.ts';
import { startLiveLine } from './progress.ts';

import { paintPhase } from './statusview.ts';

/** How `run` tells what happens. */
export interface RunView {
  show(status: LocalStatus): void;
  stop(): void;
}

/**
 * With JSON: the whole status, one line a change. For people: one line when the phase or a condition changes, and on
 * a terminal a last line with live counts.
 */
export function createRunView(asJson: boolean): RunView {
  if (asJson) return { show: json, stop() {} };
  let last: LocalStatus | undefined;
  const live = startLiveLine();
  return {
    show(status) {
      for (const text of changes(last, status)) live.say(text);
      live.update(0, counts(status));
      last = status;
    },
    stop: () => live.stop(),
  };
}

/** What is new since `last`, in lines; what two conditions say alike is said once. */
export function changes(last: LocalStatus | undefined, now: LocalStatus): string[] {
  const lines: string[] = [];
  if (last?.phase !== now.phase) lines.push(`${paintPhase(now.phase)}${now.url === null ? '' : `  ${now.url}`}`);
  const told = new Set<string>();
  for (const { type, status, reason, message } of now.conditions) {
    const before = last?.conditions.find((condition) => condition.type === type);
    if (before?.status === status && before.reason === reason) continue;
    if ((last === undefined && status !== 'True') || told.has(message)) continue;
    told.add(message);
    lines.push(`  ${type} ${status}: ${message}`);
  }
  return lines;
}

function counts({ students, events }: LocalStatus): string {
  return `${count(students.connected)} connected, ${count(students.finished)} finished, ${count(events.durable)} answers stored`;
}
