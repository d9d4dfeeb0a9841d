import type { Command } from 'commander';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { json } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';
import { untilStopped } from './signals.ts';
import type { Verdict } from './verdict.ts';

interface Options extends PlaceOptions, JsonOptions {
  readonly target?: string;
  readonly rows?: true;
  readonly ledger?: string;
}

/** `untradex verify`: proves an export again, at any later time. */
export function registerVerify(program: Command): void {
  const command = placeOptions(program.command('verify'))
    .summary('prove an export again, from the database itself')
    .description(
      'Proves an export again: reads the rows back, recomputes every chain and the root, and compares with the root ' +
        'that was kept at the seal; on this machine event by event with the sealed queue while that is still in the ' +
        'folder; and with what students saw acknowledged, when a ledger is given. On a cluster a Job reads the rows. ' +
        'Exits with 0 when all agree, 1 when not.',
    )
    .argument('<name>', 'the session')
    .option('--ledger <file>', 'NDJSON of {student, writer, seq, sha256}, as demo and rehearse write it')
    .option('--target <file>', "instead of --data: an exporter's configuration, as Jobs in a cluster get it")
    .option('--rows', 'with --target: print every row first, CSV of student, writer, seq, order, SHA-256');
  jsonOption(command, 'print the verdict as JSON').action(async (name: string, options: Options) => {
    process.exitCode = await untilStopped((signal) => verify(name, options, signal));
  });
  examples(command, [
    'untradex verify algebra --data exam',
    'untradex verify algebra --data exam --ledger ledger.ndjson',
    'kubectl untradex verify algebra -n maths',
    'kubectl untradex verify algebra -n maths --ledger ledger.ndjson -o json',
  ]);
}

async function verify(name: string, options: Options, signal: AbortSignal): Promise<number> {
  const { isVerified, showVerdict } = await import('./verdict.ts');
  const { verdict, whyNoQueue } = await verdictOf(name, options, signal);
  if (isJson(options)) json({ verified: isVerified(verdict), ...verdict });
  else showVerdict(verdict, whyNoQueue);
  return isVerified(verdict) ? exitCodes.ok : exitCodes.failed;
}

async function verdictOf(
  name: string,
  options: Options,
  signal: AbortSignal,
): Promise<{ verdict: Verdict; whyNoQueue: string }> {
  const { target, ledger = null } = options;
  if (target !== undefined) {
    const { verifyTarget } = await import('./verifytarget.ts');
    const verdict = await verifyTarget(name, target, options.rows === true, signal);
    return { verdict, whyNoQueue: 'it is not asked with --target' };
  }
  if (isOnCluster(options)) {
    const { openClusterPlace } = await import('./cluster/clusterplace.ts');
    const { verifyInCluster } = await import('./cluster/verifyjob.ts');
    const verdict = await verifyInCluster(await openClusterPlace(options, name), ledger, signal);
    return { verdict, whyNoQueue: "only the exporter's own pods may ask it" };
  }
  const { openFolder } = await import('./folder.ts');
  const { verifyFolder } = await import('./verifyfolder.ts');
  const verdict = await verifyFolder(await openFolder(options.data!, name), ledger, signal);
  return { verdict, whyNoQueue: 'its files are not in the folder any more' };
}
