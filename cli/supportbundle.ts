import type { Command } from 'commander';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { line, note } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';
import { untilStopped } from './signals.ts';

interface Options extends PlaceOptions {
  readonly output?: string;
  readonly operatorNamespace?: string;
}

/** `kubectl untradex support-bundle`: what somebody else needs to understand a session, without secrets. */
export function registerSupportBundle(program: Command): void {
  const command = placeOptions(program.command('support-bundle'))
    .alias('support')
    .summary('write what helps to understand a session on a cluster to a folder')
    .description(
      'Writes objects, events and logs of a session on a cluster, and of its operator, to a new folder. Of Secrets it ' +
        'holds the names and the names of their keys, and nothing of their values wherever these might stand. What you ' +
        'may not read is left out, and told in not-included.txt.',
    )
    .argument('<name>', 'the session')
    .option('-o, --output <dir>', 'the folder to make (default: untradex-support-NAME-TIME)')
    .option('--operator-namespace <name>', 'where the operator is, when you may not look into all namespaces')
    .action(async (name: string, options: Options) => {
      if (!isOnCluster(options)) {
        throw problem(
          'usage',
          'a support bundle is of a session on a cluster',
          `pack the folder ${options.data} instead`,
        );
      }
      process.exitCode = await untilStopped((signal) => supportBundle(name, options, signal));
    });
  examples(command, [
    'kubectl untradex support-bundle algebra -n maths',
    'kubectl untradex support-bundle algebra -n maths -o bundle && tar czf bundle.tgz bundle',
  ]);
}

async function supportBundle(name: string, options: Options, signal: AbortSignal): Promise<number> {
  const { openClusterPlace } = await import('./cluster/clusterplace.ts');
  const { writeSupportBundle } = await import('./cluster/support/bundle.ts');
  const place = await openClusterPlace(options, name);
  const { output: folder = `untradex-support-${name}-${timeStamp()}`, operatorNamespace } = options;
  const { files, notIncluded, ...bundle } = await writeSupportBundle(place, { folder, operatorNamespace, signal });
  line(`${bundle.folder} has ${files.length} files`);
  if (notIncluded.length > 0) note(`${notIncluded.length} things are not included: see not-included.txt`);
  return exitCodes.ok;
}

/** `20261125-154500`, UTC. */
function timeStamp(): string {
  return new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}
