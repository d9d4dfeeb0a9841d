import { type Command, Option } from 'commander';

export interface JsonOptions {
  readonly json?: true;
  readonly output?: 'json';
}

/** `--json`, and `-o json` for whose fingers know kubectl. @param description what is printed */
export function jsonOption(command: Command, description: string): Command {
  return command
    .option('--json', description)
    .addOption(new Option('-o, --output <format>', 'json: as --json').choices(['json']));
}

export function isJson({ json, output }: JsonOptions): boolean {
  return json === true || output === 'json';
}
