import { existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How the programs of the system are started: each the arguments to Node, before the program's own. */
export interface Programs {
  readonly cli: readonly string[];
  readonly gateway: readonly string[];
  readonly exporter: readonly string[];
}

/**
 * Finds the programs from where this file lies: in a checkout the TypeScript of each folder, in a bundle
 * `gateway.mjs` and `exporter.mjs` beside the CLI's own file.
 * @param own the file that holds this module (tests give another one)
 */
export function findPrograms(own: string = fileURLToPath(import.meta.url)): Programs {
  const folder = dirname(own);
  if (extname(own) === '.ts') {
    const root = dirname(folder);
    const inCheckout = (name: string) => [join(root, name, 'main.ts')];
    return { cli: inCheckout('cli'), gateway: inCheckout('gateway'), exporter: inCheckout('exporter') };
  }
  const cli = existsSync(join(folder, 'untradex.mjs')) ? join(folder, 'untradex.mjs') : own;
  return { cli: [cli], gateway: [join(folder, 'gateway.mjs')], exporter: [join(folder, 'exporter.mjs')] };
}
