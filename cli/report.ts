import type { Command } from 'commander';
import type { Report } from '#exporter/report.ts';
import { readJson } from '#operator/local/datafolder.ts';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { type Folder, openFolder } from './folder.ts';
import { json, line } from './output.ts';

interface Options {
  readonly data: string;
  readonly json?: true;
}

/** `untradex report`: the report of the export, as the publisher wrote it. */
export function registerReport(program: Command): void {
  const command = program
    .command('report')
    .summary('show the report of an export')
    .description('Shows the report of the export. Exits with 0 when it says verified, 1 when not.')
    .argument('<name>', 'the session')
    .requiredOption('--data <dir>', "the session's data folder")
    .option('--json', 'print it as it was written, JSON')
    .action(async (name: string, options: Options) => {
      const report = await readReport(await openFolder(options.data, name));
      if (options.json) json(report);
      else {
        const { reportTable } = await import('#exporter/reporttable.ts');
        line(reportTable(report));
      }
      process.exitCode = report.verified ? exitCodes.ok : exitCodes.failed;
    });
  examples(command, [
    'untradex report algebra --data exam',
    'untradex report algebra --data exam --json | jq .rowsPerSecond',
  ]);
}

async function readReport({ at, session }: Folder): Promise<Report> {
  const report = await readJson<Report>(at.export.report);
  if (report !== null) return report;
  const { name } = session.metadata;
  const remedy = `end the exam first: untradex finalize ${name} --data ${at.root} --wait`;
  throw problem('not_exported', `there is no report of ${name} yet`, remedy);
}
