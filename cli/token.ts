import type { Command } from 'commander';
import { durationOption } from './duration.ts';
import { examples } from './examples.ts';
import { line } from './output.ts';
import { openPlace, type PlaceOptions, placeOptions } from './place.ts';

/** `untradex token`: a student's token, alone on stdout. */
export function registerToken(program: Command): void {
  const command = placeOptions(program.command('token'))
    .summary('print a token for a student')
    .description('Prints a token (JWT) with which one student may take part, and nothing else.')
    .argument('<name>', 'the session')
    .requiredOption('--student <id>', 'the student')
    .addOption(durationOption('--ttl <duration>', 'how long it is good for', '4h'))
    .action(async (name: string, options: PlaceOptions & { student: string; ttl: number }) => {
      const mint = await (await openPlace(options, name)).mint();
      line(await mint.mint(options.student, options.ttl));
    });
  examples(command, [
    'untradex token algebra --student anna --data exam',
    'untradex token algebra --student anna --data exam --ttl 90m',
    'kubectl untradex token algebra --student anna -n maths',
  ]);
}
