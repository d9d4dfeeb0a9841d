import type { Command } from 'commander';
import { durationOption } from './duration.ts';
import { examples } from './examples.ts';
import { openFolder } from './folder.ts';
import { line } from './output.ts';
import { openMint } from './studenttoken.ts';

/** `untradex token`: a student's token, alone on stdout. */
export function registerToken(program: Command): void {
  const command = program
    .command('token')
    .summary('print a token for a student')
    .description('Prints a token (JWT) with which one student may take part, and nothing else.')
    .argument('<name>', 'the session')
    .requiredOption('--student <id>', 'the student')
    .requiredOption('--data <dir>', "the session's data folder")
    .addOption(durationOption('--ttl <duration>', 'how long it is good for', '4h'))
    .action(async (name: string, options: { student: string; data: string; ttl: number }) => {
      line(await openMint(await openFolder(options.data, name)).mint(options.student, options.ttl));
    });
  examples(command, [
    'untradex token algebra --student anna --data exam',
    'untradex token algebra --student anna --data exam --ttl 90m',
  ]);
}
