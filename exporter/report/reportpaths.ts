import { basename, dirname, join } from 'node:path';

/** What stands beside a report. Reports of several sessions may share a folder when their names differ. */
export interface ReportPaths {
  /** The same for people. */
  readonly page: string;
  /** Name of the list of students of the roster without an answer, and where it is. */
  readonly missingName: string;
  readonly missing: string;
  /** Folder of what the exporter's programs noted of themselves. */
  readonly diaries: string;
}

/** @param report path of the JSON */
export function reportPaths(report: string): ReportPaths {
  const folder = dirname(report);
  const stem = basename(report, '.json');
  const missingName = stem === 'report' ? 'roster-missing.csv' : `${stem}-roster-missing.csv`;
  return {
    page: join(folder, `${stem}.html`),
    missingName,
    missing: join(folder, missingName),
    diaries: join(folder, `${stem}-diary`),
  };
}
