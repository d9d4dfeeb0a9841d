import type { Condition, SessionStatus } from '#operator/status.ts';
import { count, line, paint, type Style, section, time } from './output.ts';
import type { PlaceStatus } from './place.ts';

/** Prints a status for people, in sections. @param now ms since 1970, for ages */
export function showStatus(status: PlaceStatus, now: number): void {
  line(`${paint('bold', status.name)}  ${paintPhase(status.phase)}${status.url ? `  ${status.url}` : ''}`);
  line();
  section(
    'Conditions',
    status.conditions.map((condition) => [condition.type, describe(condition, now)] as const),
  );
  line();
  const { students, events } = status;
  section('Students', [
    ['expected', count(students.expected)],
    ['connected', count(students.connected)],
    ['seen', count(students.seen)],
    ['finished', count(students.finished)],
  ]);
  line();
  section('Events', [
    ['accepted', count(events.accepted)],
    ['durable', count(events.durable)],
    ['exported', count(events.exported)],
    ...acknowledgement(status),
  ]);
  line();
  section('Export', exportRows(status));
  if (status.pids === undefined) return;
  line();
  section('Processes', [
    ['gateways', status.pids.gateway.join(' ') || 'none'],
    ['redis', status.pids.redis.join(' ') || 'none'],
    ['folder', status.dataDir ?? ''],
  ]);
}

/** A phase in the colour of what it means. */
export function paintPhase(phase: string): string {
  const styles: Record<string, Style> = { Active: 'cyan', Completed: 'green', Failed: 'red' };
  return paint(styles[phase] ?? 'yellow', phase);
}

function describe({ type, status, reason, message, lastTransitionTime }: Condition, now: number): string {
  const good = type === 'Degraded' ? status === 'False' : status === 'True';
  const age = time(Math.max(0, now - Date.parse(lastTransitionTime)));
  return `${paint(good ? 'green' : 'yellow', status.padEnd(7))} ${reason}, for ${age}${message ? `: ${message}` : ''}`;
}

function acknowledgement({ ackMs }: SessionStatus): [string, string][] {
  return ackMs === null || ackMs === undefined || ackMs.count === 0
    ? []
    : [['acknowledged in', `p50 ${time(ackMs.p50)}, p99 ${time(ackMs.p99)}, max ${time(ackMs.max)}`]];
}

function exportRows({ export: state, redis: { root } }: SessionStatus): [string, string][] {
  const rows: [string, string][] = [['root', root ?? 'not sealed yet']];
  if (state === null) return rows;
  const { attempt, step, rows: done, total, rowsPerSecond, report } = state;
  rows.push(['attempt', `${attempt}, ${state.state === 'running' ? step : state.state}`]);
  rows.push(['rows', `${count(done)} of ${count(total)}, ${count(rowsPerSecond)}/s`]);
  if (report !== null) rows.push(['report', report]);
  return rows;
}
