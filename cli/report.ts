import type { Command } from 'commander';
import type { Report } from '#exporter/report.ts';
import { readJson } from '#operator/local/datafolder.ts';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { openFolder } from './folder.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { json, line, note } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';
import { untilStopped } from './signals.ts';

interface Options extends PlaceOptions, JsonOptions {
  readonly target?: string;
  readonly html?: string;
}

/** `untradex report`: the report of the export, as the publisher wrote it. */
export function registerReport(program: Command): void {
  const command = placeOptions(program.command('report'))
    .summary('show the report of an export')
    .description(
      'Shows the report of the export. Exits with 0 when it says verified, 1 when not. On a cluster a Job reads it ' +
        'from the volume that it was written to.',
    )
    .argument('<name>', 'the session')
    .option('--html <file>', 'write it as a page for people, which needs nothing else')
    .option('--target <file>', "instead of --data: an exporter's configuration, as Jobs in a cluster get it");
  jsonOption(command, 'print it as it was written, JSON').action(async (name: string, options: Options) => {
    process.exitCode = await untilStopped((signal) => showReport(name, options, signal));
  });
  examples(command, [
    'untradex report algebra --data exam',
    'untradex report algebra --data exam --json | jq .rowsPerSecond',
    'untradex report algebra --data exam --html report.html',
    'kubectl untradex report algebra -n maths',
    'kubectl untradex report algebra -n maths -o json > report.json',
  ]);
}

async function showReport(name: string, options: Options, signal: AbortSignal): Promise<number> {
  const report = await reportOf(name, options, signal);
  if (options.html !== undefined) await writeHtml(options.html, report);
  if (isJson(options)) json(report);
  else if (options.html === undefined) {
    const { reportTable } = await import('#exporter/reporttable.ts');
    line(reportTable(report));
  }
  return report.verified ? exitCodes.ok : exitCodes.failed;
}

/** The page that the publisher wrote beside its report, byte for byte, when this is the same version. */
async function writeHtml(path: string, report: Report): Promise<void> {
  const { writePage } = await import('#exporter/report/page.ts');
  await writePage(path, report);
  note(`wrote ${path}`);
}

async function reportOf(name: string, options: Options, signal: AbortSignal): Promise<Report> {
  if (options.target !== undefined) {
    const { readTarget } = await import('./verifytarget.ts');
    return readReport(readTarget(name, options.target).report, name, 'wait until the session is Completed');
  }
  if (isOnCluster(options)) {
    const { openClusterPlace } = await import('./cluster/clusterplace.ts');
    const { reportFromCluster } = await import('./cluster/reportjob.ts');
    return reportFromCluster(await openClusterPlace(options, name), signal);
  }
  const { at } = await openFolder(options.data!, name);
  const remedy = `end the exam first: untradex finalize ${name} --data ${at.root} --wait`;
  return readReport(at.export.report, name, remedy);
}

async function readReport(path: string, name: string, remedy: string): Promise<Report> {
  const report = await readJson<Report>(path);
  if (report !== null) return report;
  throw problem('not_exported', `there is no report of ${name} yet`, remedy);
}
