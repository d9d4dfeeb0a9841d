import { type Command, Option } from 'commander';
import { problem } from '#queue/problem.ts';
import { durationOption } from './duration.ts';
import { examples } from './examples.ts';
import { exitCodeOfSignal } from './exitcodes.ts';
import { line, paint, type Style } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';
import { listenForStop } from './signals.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options extends PlaceOptions {
  readonly follow?: true;
  readonly since?: number;
  readonly tail?: number;
  readonly part?: 'redis' | 'gateway' | 'exporter';
}

const colours: readonly Style[] = ['cyan', 'green', 'yellow', 'bold'];

/** `kubectl untradex logs`: what all parts of a session say, interleaved. */
export function registerLogs(program: Command): void {
  const command = placeOptions(program.command('logs'))
    .summary('show the logs of all parts of a session on a cluster')
    .description(
      'Shows what gateways, Redis and exporters of a session log, interleaved by time, each line with its pod.',
    )
    .argument('<name>', 'the session')
    .option('-f, --follow', 'go on with new lines, also of pods that start later, until Ctrl-C')
    .addOption(durationOption('--since <duration>', 'only lines that are not older'))
    .option('--tail <n>', 'only the last lines of each pod', wholeNumber(1, 1_000_000))
    .addOption(new Option('--part <what>', 'only one part').choices(['redis', 'gateway', 'exporter']))
    .action(async (name: string, options: Options) => {
      if (!isOnCluster(options)) {
        const remedy = `read the files *.log in ${options.data}`;
        throw problem('usage', 'logs are for a session on a cluster', remedy);
      }
      process.exitCode = await showLogs(name, options);
    });
  examples(command, [
    'kubectl untradex logs algebra -n maths --since 10m',
    'kubectl untradex logs algebra -n maths -f --part gateway',
  ]);
}

async function showLogs(name: string, options: Options): Promise<number> {
  const { openClusterPlace } = await import('./cluster/clusterplace.ts');
  const { sessionLog } = await import('./cluster/sessionlog.ts');
  const place = await openClusterPlace(options, name);
  const stop = listenForStop();
  const seen: string[] = [];
  const styleOf = (pod: string): Style => {
    if (!seen.includes(pod)) seen.push(pod);
    return colours[seen.indexOf(pod) % colours.length]!;
  };
  const { follow = false, since, tail, part } = options;
  const query = { follow, sinceMs: since, tail, component: part };
  try {
    for await (const { pod, text } of sessionLog(place, query, stop.signal)) {
      line(`${paint(styleOf(pod), pod)}  ${text}`);
    }
  } finally {
    stop.release();
  }
  return stop.by === undefined ? 0 : exitCodeOfSignal(stop.by);
}
