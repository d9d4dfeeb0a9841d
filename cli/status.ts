import type { Command } from 'commander';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { exitCodes } from './exitcodes.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { json, line } from './output.ts';
import { isOnCluster, openPlace, type Place, type PlaceOptions, type PlaceStatus, placeOptions } from './place.ts';
import { untilStopped } from './signals.ts';
import { showStatus } from './statusview.ts';

interface Options extends PlaceOptions, JsonOptions {
  readonly watch?: true;
  readonly allNamespaces?: true;
}

/** `untradex status`: where the session stands, as it was last written. */
export function registerStatus(program: Command): void {
  const command = placeOptions(program.command('status'))
    .summary('show where a session stands, or list sessions')
    .description(
      'Shows where a session stands: phase, conditions, students, events, export. On a cluster, without a name, it ' +
        'lists the sessions of the namespace when there is not exactly one.',
    )
    .argument('[name]', 'the session; the only one there when left out')
    .option('-w, --watch', 'show it again at each change, until Ctrl-C')
    .option('-A, --all-namespaces', 'list the sessions of all namespaces of a cluster');
  jsonOption(command, 'one line of JSON, the whole status; with --watch one a change').action(
    async (name: string | undefined, options: Options) => {
      process.exitCode = await untilStopped((signal) => status(name, options, signal));
    },
  );
  examples(command, [
    'untradex status --data exam',
    'untradex status algebra --data exam --watch',
    'untradex status --data exam --json',
    'kubectl untradex status algebra -n maths -w',
    'kubectl untradex status -A',
    'kubectl untradex status algebra -n maths -o json | jq .events',
  ]);
}

async function status(name: string | undefined, options: Options, signal: AbortSignal): Promise<number> {
  if (await isList(name, options, signal)) await list(options, signal);
  else {
    const place = await openPlace(options, name);
    if (options.watch) await watch(place, isJson(options), signal);
    else show(place, await place.readStatus(), isJson(options));
  }
  return exitCodes.ok;
}

async function isList(name: string | undefined, options: Options, signal: AbortSignal): Promise<boolean> {
  const all = options.allNamespaces === true;
  if (all && (name !== undefined || options.namespace !== undefined || options.data !== undefined)) {
    throw problem('usage', '--all-namespaces is for a list', 'leave out the name, --namespace and --data');
  }
  if (all) return true;
  if (!isOnCluster(options) || name !== undefined) return false;
  const { sessionLists } = await import('./cluster/sessionlist.ts');
  for await (const { sessions } of sessionLists(options, { all, watch: false }, signal)) return sessions.length !== 1;
  return false;
}

async function list(options: Options, signal: AbortSignal): Promise<void> {
  const { sessionLists, sessionTable } = await import('./cluster/sessionlist.ts');
  const all = options.allNamespaces === true;
  const watch = options.watch === true;
  for await (const found of sessionLists(options, { all, watch }, signal)) {
    if (isJson(options)) {
      json(found.sessions);
      continue;
    }
    if (watch) newScreen();
    const where = found.namespace === null ? 'this cluster' : `the namespace ${found.namespace}`;
    if (found.sessions.length === 0) line(`there is no session in ${where}`);
    else for (const text of sessionTable(found, Date.now())) line(text);
  }
}

async function watch(place: Place, asJson: boolean, signal: AbortSignal): Promise<void> {
  for await (const status of place.followStatus(signal)) {
    if (!asJson) newScreen();
    show(place, status, asJson);
  }
}

function newScreen(): void {
  if (process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J'); // Home, clear: one screen that changes.
}

function show(place: Place, status: PlaceStatus | null, asJson: boolean): void {
  if (asJson) json(status);
  else if (status === null)
    line(`${place.session.metadata.name} has no status yet${place.idle() === null ? '' : `: ${place.idle()}`}`);
  else showStatus(status, Date.now());
}
