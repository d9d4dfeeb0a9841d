import { basename } from 'node:path';
import type { Command, Option } from 'commander';
import type { PlaceOptions } from './place.ts';

/** True when a shell asks kubectl what may follow: kubectl starts `kubectl_complete-untradex` with the words so far. */
export function isCompletion(argv: readonly string[] = process.argv): boolean {
  return /^kubectl_complete-untradex/.test(basename(argv[1] ?? ''));
}

/** What is printed below the words, for cobra's scripts. */
const directives = { files: ':0', noFiles: ':4' } as const;
/** A shell that waits longer for names is a nuisance. */
const namesWithinMs = 2_000;

/**
 * The lines that kubectl expects: words, then a directive.
 * @param words what is typed, the last one as far as it is
 */
export async function completionLines(program: Command, words: readonly string[]): Promise<string[]> {
  const before = words.slice(0, -1);
  const word = words.at(-1) ?? '';
  const command = program.commands.find((one) => [one.name(), ...one.aliases()].includes(before[0] ?? ''));
  if (command === undefined)
    return found(
      program.commands.map((one) => one.name()),
      word,
    );
  const asked = optionOf(command, before.at(-1));
  if (asked?.required) return asked.argChoices === undefined ? valueLines(asked) : found(asked.argChoices, word);
  if (word.startsWith('-'))
    return found(
      command.options.flatMap(({ long }) => long ?? []),
      word,
    );
  return found(await sessionNames(placeOf(command, before)), word);
}

function found(words: readonly string[], word: string): string[] {
  return [...words.filter((one) => one.startsWith(word)), directives.noFiles];
}

function optionOf(command: Command, word: string | undefined): Option | undefined {
  return command.options.find((option) => word !== undefined && (option.long === word || option.short === word));
}

function valueLines({ flags }: Option): string[] {
  return /<(file|dir)>/.test(flags) ? [directives.files] : [directives.noFiles];
}

/** The options that say where, as far as they are typed. */
function placeOf(command: Command, before: readonly string[]): PlaceOptions {
  const place: Record<string, string> = {};
  for (const [index, word] of before.entries()) {
    const option = optionOf(command, word);
    const value = before[index + 1];
    if (option !== undefined && value !== undefined) place[option.attributeName()] = value;
  }
  return place;
}

/** None when they cannot be had: whoever presses Tab wants no error. */
async function sessionNames(place: PlaceOptions): Promise<string[]> {
  const { connectCluster } = await import('./cluster/connection.ts');
  const { listSessions } = await import('./cluster/sessions.ts');
  try {
    const { api, namespace } = connectCluster(place);
    const timer = setTimeout(api.close, namesWithinMs);
    try {
      return (await listSessions(api, namespace)).map(({ metadata }) => metadata.name);
    } finally {
      clearTimeout(timer);
      api.close();
    }
  } catch {
    return [];
  }
}
