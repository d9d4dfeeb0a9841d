import type { Command } from 'commander';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import { examples } from './examples.ts';
import { exitCodeOfSignal } from './exitcodes.ts';
import { type Folder, openFolder } from './folder.ts';
import { json, line } from './output.ts';
import { listenForStop } from './signals.ts';
import { followStatus, readStatus } from './statusfile.ts';
import { showStatus } from './statusview.ts';

interface Options {
  readonly data: string;
  readonly watch?: true;
  readonly json?: true;
}

/** `untradex status`: where the session stands, as `run` last wrote it. */
export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .summary('show where a session stands')
    .description('Shows where the session stands: phase, conditions, students, events, export.')
    .argument('[name]', 'the session; the one in the folder when left out')
    .requiredOption('--data <dir>', "the session's data folder")
    .option('-w, --watch', 'show it again at each change, until Ctrl-C')
    .option('--json', 'one line of JSON, the whole status; with --watch one a change')
    .action(async (name: string | undefined, options: Options) => {
      const folder = await openFolder(options.data, name);
      if (options.watch) await watch(folder, options.json === true);
      else show(folder, await readStatus(folder), options.json === true);
    });
  examples(command, [
    'untradex status --data exam',
    'untradex status algebra --data exam --watch',
    'untradex status --data exam --json',
  ]);
}

async function watch(folder: Folder, asJson: boolean): Promise<void> {
  const stop = listenForStop();
  try {
    for await (const status of followStatus(folder, stop.signal)) {
      if (process.stdout.isTTY && !asJson) process.stdout.write('\x1b[H\x1b[2J'); // Home, clear: one screen that changes.
      show(folder, status, asJson);
    }
  } finally {
    stop.release();
  }
  process.exitCode = exitCodeOfSignal(stop.by ?? 'SIGINT');
}

function show(folder: Folder, status: LocalStatus | null, asJson: boolean): void {
  if (asJson) json(status);
  else if (status === null)
    line(`${folder.session.metadata.name} was never run: untradex run --data ${folder.at.root}`);
  else showStatus(status, Date.now());
}
