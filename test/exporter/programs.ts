import { join } from 'node:path';
import { type Exit, type Program, startProgram } from '#test/support/process.ts';

const main = join(import.meta.dirname, '../../exporter/main.ts');

/** Starts `exporter/main.ts load`. */
export function startLoad(config: string, shard: number, env: Record<string, string> = {}): Program {
  return startProgram({ argv: [process.execPath, main, 'load', '--config', config, '--shard', String(shard)], env });
}

/** Starts `exporter/main.ts publish`. */
export function startPublish(config: string, env: Record<string, string> = {}): Program {
  return startProgram({ argv: [process.execPath, main, 'publish', '--config', config], env });
}

/** How a program ended, and what it said last. */
export interface Outcome {
  readonly exit: Exit;
  readonly last: Record<string, unknown>;
  readonly program: Program;
}

export async function outcomeOf(program: Program): Promise<Outcome> {
  const exit = await program.ended(55_000);
  return { exit, last: program.lines.at(-1) ?? {}, program };
}

/** Loads every shard, one after the other, and publishes; stops at the first that does not end with 0. */
export async function runExport(config: string, shards: number, env: Record<string, string> = {}): Promise<Outcome> {
  for (let shard = 0; shard < shards; shard++) {
    const outcome = await outcomeOf(startLoad(config, shard, env));
    if (outcome.exit.code !== 0) return outcome;
  }
  return outcomeOf(startPublish(config, env));
}
