import { basename } from 'node:path';

/** True when kubectl runs this as its plugin: then sessions are on a cluster unless --data says otherwise. */
export function isPlugin(argv: readonly string[] = process.argv): boolean {
  return /^kubectl[-_]untradex/.test(basename(argv[1] ?? ''));
}

/** What a user types for this program. */
export function programName(plugin = isPlugin()): string {
  return plugin ? 'kubectl untradex' : 'untradex';
}
