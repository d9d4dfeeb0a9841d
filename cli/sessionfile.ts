import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { writeAtomic } from '#operator/local/datafolder.ts';

/**
 * Sets one field of a session's YAML and keeps comments and order of everything else. The file is replaced in one
 * step: who reads it at the same moment sees the old one or the new one.
 * @returns false when the field had that value already, and nothing was written
 */
export async function setSessionField(file: string, path: readonly string[], value: unknown): Promise<boolean> {
  const document = parseDocument(await readFile(file, 'utf8'));
  if (document.getIn(path) === value) return false;
  document.setIn(path, value);
  await writeAtomic(file, document.toString({ lineWidth: 0 }));
  return true;
}
