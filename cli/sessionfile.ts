import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { parseDocument } from 'yaml';

/**
 * Sets one field of a session's YAML and keeps comments and order of everything else. The file is replaced by a
 * rename, so that who reads it at the same moment sees the old one or the new one.
 * @returns false when the field had that value already, and nothing was written
 */
export function setSessionField(file: string, path: readonly string[], value: unknown): boolean {
  const document = parseDocument(readFileSync(file, 'utf8'));
  if (document.getIn(path) === value) return false;
  document.setIn(path, value);
  const temporary = `${file}.${process.pid}`;
  const handle = openSync(temporary, 'w', 0o600);
  try {
    writeSync(handle, document.toString({ lineWidth: 0 }));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
  return true;
}
