import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { problem } from '#queue/problem.ts';

/**
 * spec.export of a demo that exports into a server, from a file that describes it; null for DuckDB. What is in it is
 * checked with the session. Files that it names are found beside it.
 * @throws Problem `sink_file_invalid`
 */
export function readTarget(sink: 'duckdb' | 'postgres' | 'oracle', file: string | undefined): object | null {
  if (sink === 'duckdb') return null;
  const fields = sink === 'oracle' ? 'connectString, user, passwordFile' : 'host, database, user, passwordFile';
  const remedy = `name a YAML file with ${fields} ... in --sink-file or UNTRADEX_SINK_FILE`;
  if (file === undefined) throw problem('sink_file_invalid', `--sink ${sink} needs to know the server`, remedy);
  try {
    const { passwordFile, tls, ...server } = parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    return { [sink]: { ...server, ...withPaths({ passwordFile, tls }, dirname(resolve(file))) } };
  } catch (cause) {
    throw problem('sink_file_invalid', `${file} cannot be read: ${(cause as Error).message}`, remedy, { cause });
  }
}

/** The fields that name files, at any depth, with paths that do not depend on a folder. */
function withPaths(fields: Record<string, unknown>, folder: string): Record<string, unknown> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => {
      if (typeof value === 'object' && value !== null) return [name, withPaths({ ...value }, folder)];
      return [name, name.endsWith('File') && typeof value === 'string' ? resolve(folder, value) : value];
    }),
  );
}
