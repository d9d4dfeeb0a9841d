import { type Command, Option } from 'commander';
import { problem } from '#queue/problem.ts';
import type { LogComponent, SessionLogLine } from './cluster/sessionlog.ts';
import { durationOption } from './duration.ts';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { line, paint, type Style } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';
import { untilStopped } from './signals.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options extends PlaceOptions {
  readonly follow?: true;
  readonly since?: number;
  readonly tail?: number;
  readonly part?: LogComponent;
  readonly timestamps?: true;
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
    .option('--timestamps', 'when each line was written, in UTC')
    .action(async (name: string, options: Options) => {
      if (!isOnCluster(options)) {
        const remedy = `read the files *.log in ${options.data}`;
        throw problem('usage', 'logs are for a session on a cluster', remedy);
      }
      process.exitCode = await untilStopped((signal) => showLogs(name, options, signal));
    });
  examples(command, [
    'kubectl untradex logs algebra -n maths --since 10m',
    'kubectl untradex logs algebra -n maths -f --part gateway',
  ]);
}

async function showLogs(name: string, options: Options, signal: AbortSignal): Promise<number> {
  const { openClusterPlace } = await import('./cluster/clusterplace.ts');
  const { createPodLogs } = await import('./cluster/podlog.ts');
  const { sessionLog } = await import('./cluster/sessionlog.ts');
  const { connection, api, ref } = await openClusterPlace(options, name);
  const { follow = false, since, tail, part } = options;
  const logs = createPodLogs(connection);
  const show = createLogView(options.timestamps === true);
  try {
    const query = { follow, sinceMs: since, tail, component: part };
    for await (const one of sessionLog({ api, logs }, ref, query, signal)) show(one);
  } finally {
    logs.close();
    api.close();
  }
  return exitCodes.ok;
}

/** A colour a pod, and the text of all of them in one column as far as names are known. */
function createLogView(timestamps: boolean): (line: SessionLogLine) => void {
  const styles = new Map<string, Style>();
  let width = 0;
  return ({ pod, at, text }) => {
    const style = styles.get(pod) ?? colours[styles.size % colours.length]!;
    styles.set(pod, style);
    width = Math.max(width, pod.length);
    line(`${paint(style, pod.padEnd(width))}  ${timestamps ? `${at}  ` : ''}${text}`);
  };
}
