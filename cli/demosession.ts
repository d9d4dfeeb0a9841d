import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { apiVersion, kind } from '#operator/examsession.ts';
import { dataFolder } from '#operator/local/datafolder.ts';
import { problem } from '#queue/problem.ts';

export const demoName = 'demo';

/**
 * Makes the folder of a throw-away session: the one given, which must be empty or not exist, or a new one among the
 * system's temporary files.
 * @throws Problem `folder_in_use`
 */
export function makeDemoFolder(given: string | undefined): string {
  if (given === undefined) return mkdtempSync(join(tmpdir(), 'untradex-demo-'));
  const path = resolve(given);
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw problem('folder_in_use', `${path} is not empty`, 'give an empty or a new folder with --data, or none');
  }
  mkdirSync(path, { recursive: true });
  return path;
}

/** Writes the session of the demo into its folder. `target` is its spec.export; left out: DuckDB. */
export function writeDemoSession(
  folder: string,
  size: { readonly students: number; readonly gateways: number; readonly shards: number; readonly target?: object },
): void {
  const session = {
    apiVersion,
    kind,
    metadata: { name: demoName },
    spec: {
      students: size.students,
      exam: 'Demo',
      graceSeconds: 1,
      gateway: { replicas: size.gateways },
      redis: { shards: size.shards },
      ...(size.target === undefined ? {} : { export: size.target }),
    },
  };
  writeFileSync(dataFolder(folder).session, stringify(session));
}
