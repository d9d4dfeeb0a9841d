import type { Command } from 'commander';
import { isPlugin } from './plugin.ts';

/** Puts examples, one a line, below a command's --help; below that of the plugin those for clusters alone. */
export function examples(command: Command, lines: readonly string[]): void {
  const forClusters = lines.filter((text) => text.startsWith('kubectl '));
  const shown = isPlugin() && forClusters.length > 0 ? forClusters : lines;
  command.addHelpText('after', `\nExamples:\n${shown.map((text) => `  $ ${text}`).join('\n')}`);
}
