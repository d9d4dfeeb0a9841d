import type { Command } from 'commander';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { json, line } from './output.ts';
import { isOnCluster, type PlaceOptions, placeOptions } from './place.ts';

interface Options extends PlaceOptions, JsonOptions {}

/** `kubectl untradex pause` and `resume`: whether the operator touches a session, or only looks. */
export function registerPause(program: Command): void {
  const pause = placeOptions(program.command('pause'))
    .summary('let the operator only look at a session on a cluster')
    .description(
      'Pauses a session on a cluster: its operator goes on looking and telling, and changes nothing. Students go on ' +
        'answering. Nothing is sealed or exported while it is paused.',
    );
  register(pause, true);
  examples(pause, ['kubectl untradex pause algebra -n maths']);
  const resume = placeOptions(program.command('resume'))
    .summary('let the operator work on a paused session again')
    .description('Ends a pause: the operator makes again what should be.');
  register(resume, false);
  examples(resume, ['kubectl untradex resume algebra -n maths']);
}

function register(command: Command, paused: boolean): void {
  command.argument('<name>', 'the session');
  jsonOption(command, 'print what was done as JSON').action(async (name: string, options: Options) => {
    if (!isOnCluster(options)) {
      const remedy = `stop \`untradex run\` with Ctrl-C instead; the next run goes on where it was`;
      throw problem('usage', 'a session on this machine cannot be paused', remedy);
    }
    const { openClusterPlace } = await import('./cluster/clusterplace.ts');
    const { setPaused } = await import('./cluster/pausing.ts');
    const changed = await setPaused(await openClusterPlace(options, name), paused);
    if (isJson(options)) json({ name, paused, changed });
    else line(`${name} ${changed ? 'is now' : 'was already'} ${paused ? 'paused' : 'in the care of its operator'}`);
  });
}
