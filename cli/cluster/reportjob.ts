import { hash } from 'node:crypto';
import type { Report } from '#exporter/report.ts';
import { problem } from '#queue/problem.ts';
import { note } from '../output.ts';
import type { ClusterPlace } from './clusterplace.ts';
import { exportedAttempt, readingTool, targetFile } from './exportedattempt.ts';
import { runTool } from './runtool.ts';

const withinSeconds = 600;

/**
 * The report, read by a Job from the claim that it was written to, and compared with the digest that the session's
 * status keeps of it.
 * @throws Problem `not_exported`, `report_unreadable`, `report_changed`
 */
export async function reportFromCluster(place: ClusterPlace, signal: AbortSignal): Promise<Report> {
  const { ref } = place;
  const attempt = await exportedAttempt(place);
  let report: Report | null = null;
  const onLine = (line: string) => {
    if (line.startsWith('{"format":')) report = JSON.parse(line) as Report;
    else note(line);
  };
  const tool = {
    ...(await readingTool(place, attempt, true)),
    ...{ what: 'report', memory: '256Mi', withinSeconds },
    args: ['report', ref.name, '--json', '--target', targetFile],
  };
  const code = await runTool(place, tool, signal, onLine);
  if (report === null) {
    const message = `the report could not be read: the Job ended with ${code}`;
    throw problem('report_unreadable', message, 'see the lines above');
  }
  refuseChanged(report, attempt.status.export?.digest ?? null);
  return report;
}

/** As the exporter writes it to its file, so that the digests are of the same text. */
function refuseChanged(report: Report, digest: string | null): void {
  const found = hash('sha256', `${JSON.stringify(report, null, 2)}\n`, 'hex');
  if (digest === null || digest === found) return;
  const message = `the report was changed: its SHA-256 is ${found}, and was ${digest} when it was written`;
  throw problem('report_changed', message, 'prove the export itself: kubectl untradex verify');
}
