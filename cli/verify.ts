import type { Command } from 'commander';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { openFolder } from './folder.ts';
import { json } from './output.ts';
import { listenForStop } from './signals.ts';

interface Options {
  readonly data: string;
  readonly ledger?: string;
  readonly json?: true;
}

/** `untradex verify`: proves an export again, at any later time. */
export function registerVerify(program: Command): void {
  const command = program
    .command('verify')
    .summary('prove an export again, from the database itself')
    .description(
      'Proves an export again: reads the rows back, recomputes every chain and the root, and compares with the root ' +
        'that was kept at the seal; event by event with the sealed queue while that is still in the folder; and with ' +
        'what students saw acknowledged, when a ledger is given. Exits with 0 when all agree, 1 when not.',
    )
    .argument('<name>', 'the session')
    .requiredOption('--data <dir>', "the session's data folder")
    .option('--ledger <file>', 'NDJSON of {student, writer, seq, sha256}, as demo and rehearse write it')
    .option('--json', 'print the verdict as JSON')
    .action(async (name: string, options: Options) => {
      process.exitCode = await verify(name, options);
    });
  examples(command, [
    'untradex verify algebra --data exam',
    'untradex verify algebra --data exam --ledger ledger.ndjson',
  ]);
}

async function verify(name: string, options: Options): Promise<number> {
  const { isVerified, showVerdict, verifySession } = await import('./verdict.ts');
  const folder = await openFolder(options.data, name);
  const stop = listenForStop();
  try {
    const verdict = await verifySession(folder, options.ledger ?? null, stop.signal);
    if (options.json) json({ verified: isVerified(verdict), ...verdict });
    else showVerdict(verdict);
    return isVerified(verdict) ? exitCodes.ok : exitCodes.failed;
  } finally {
    stop.release();
  }
}
