import { problem } from '#queue/problem.ts';
import { reportFormat } from '../report.ts';

/** Problem `report_format` when a report that was read has another format than those that this version writes. */
export function checkFormat({ format }: { readonly format: unknown }): void {
  if (format === reportFormat) return;
  throw problem(
    'report_format',
    `the report has format ${String(format)}, and this version shows format ${reportFormat}`,
    'Show it with the version of Untradex that wrote it, or take it as it is with --json.',
  );
}
