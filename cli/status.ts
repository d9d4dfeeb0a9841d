import { type Command, Option } from 'commander';
import { examples } from './examples.ts';
import { exitCodeOfSignal } from './exitcodes.ts';
import { json, line } from './output.ts';
import { openPlace, type Place, type PlaceOptions, type PlaceStatus, placeOptions } from './place.ts';
import { listenForStop } from './signals.ts';
import { showStatus } from './statusview.ts';

interface Options extends PlaceOptions {
  readonly watch?: true;
  readonly json?: true;
  readonly output?: 'json';
}

/** `untradex status`: where the session stands, as it was last written. */
export function registerStatus(program: Command): void {
  const command = placeOptions(program.command('status'))
    .summary('show where a session stands')
    .description('Shows where the session stands: phase, conditions, students, events, export.')
    .argument('[name]', 'the session; the only one there when left out')
    .option('-w, --watch', 'show it again at each change, until Ctrl-C')
    .option('--json', 'one line of JSON, the whole status; with --watch one a change')
    .addOption(new Option('-o, --output <format>', 'json: as --json').choices(['json']))
    .action(async (name: string | undefined, options: Options) => {
      const place = await openPlace(options, name);
      const asJson = options.json === true || options.output === 'json';
      if (options.watch) await watch(place, asJson);
      else show(place, await place.readStatus(), asJson);
    });
  examples(command, [
    'untradex status --data exam',
    'untradex status algebra --data exam --watch',
    'untradex status --data exam --json',
    'kubectl untradex status algebra -n maths -w',
  ]);
}

async function watch(place: Place, asJson: boolean): Promise<void> {
  const stop = listenForStop();
  try {
    for await (const status of place.followStatus(stop.signal)) {
      if (process.stdout.isTTY && !asJson) process.stdout.write('\x1b[H\x1b[2J'); // Home, clear: one screen that changes.
      show(place, status, asJson);
    }
  } finally {
    stop.release();
  }
  process.exitCode = exitCodeOfSignal(stop.by ?? 'SIGINT');
}

function show(place: Place, status: PlaceStatus | null, asJson: boolean): void {
  if (asJson) json(status);
  else if (status === null)
    line(`${place.session.metadata.name} has no status yet${place.idle() === null ? '' : `: ${place.idle()}`}`);
  else showStatus(status, Date.now());
}
