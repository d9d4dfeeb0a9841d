import type { Command } from 'commander';

/** Puts examples, one a line, below a command's --help. */
export function examples(command: Command, lines: readonly string[]): void {
  command.addHelpText('after', `\nExamples:\n${lines.map((text) => `  $ ${text}`).join('\n')}`);
}
