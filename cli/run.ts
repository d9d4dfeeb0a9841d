import type { Command } from 'commander';
import { examples } from './examples.ts';
import { exitCodeOfSignal, exitCodes } from './exitcodes.ts';
import { note } from './output.ts';
import { findPrograms } from './programs.ts';
import { createRunView } from './runview.ts';
import { listenForStop } from './signals.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options {
  readonly file?: string;
  readonly data: string;
  readonly port: number;
  readonly host: string;
  readonly json?: true;
}

/** `untradex run`: one session on this machine, from its first process to its proof. */
export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .summary('run a session on this machine, until it is completed')
    .description(
      'Runs a session on this machine until it is completed: Redis, gateways, and when it is finalized the export. ' +
        'Killed at any moment and started again on the same folder, it goes on where it was. ' +
        'Exits with 0 when Completed, 130 or 143 when a signal stopped it before, 65 or 69 with a reason.',
    )
    .option('-f, --file <file>', 'the session file; it is copied into the folder (left out: the one that is there)')
    .requiredOption('--data <dir>', "the session's data folder: keys, queue, status, export; one folder a session")
    .option('--port <p>', 'port for the students', wholeNumber(0, 65_535), 8080)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--json', 'one line of JSON on stdout at each change, always the whole status')
    .action(async (options: Options) => {
      process.exitCode = await run(options);
    });
  examples(command, [
    'untradex run -f session.yaml --data exam',
    'untradex run --data exam --host 0.0.0.0 --port 80',
    'untradex run -f session.yaml --data exam --json | jq -r .phase',
  ]);
}

async function run({ file, data, port, host, json }: Options): Promise<number> {
  const { runLocal } = await import('#operator/local/run.ts');
  const stop = listenForStop();
  const view = createRunView(json === true);
  const { gateway, exporter } = findPrograms();
  try {
    const session = await runLocal({
      ...(file === undefined ? {} : { file }),
      dataDir: data,
      port,
      host,
      programs: { gateway: [...gateway], exporter: [...exporter] },
      onStatus: view.show,
      onNote: note,
    });
    const stopped = new Promise<'stopped'>((resolve) => {
      if (stop.signal.aborted) resolve('stopped');
      else stop.signal.addEventListener('abort', () => resolve('stopped'), { once: true });
    });
    try {
      const end = await Promise.race([session.done.then(() => 'done' as const), stopped]);
      return end === 'done' ? exitCodes.ok : exitCodeOfSignal(stop.by ?? 'SIGTERM');
    } finally {
      await session.stop();
    }
  } finally {
    view.stop();
    stop.release();
  }
}
