import { hash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makePrivateFolder, replaceFile } from '../durablefile.ts';

/** CSV (RFC 4180) with one column, `student`. The ids are as the roster has them, to be imported as text. Pure. */
export function missingText(students: readonly string[]): string {
  const lines = students.map((student) => `"${student.replaceAll('"', '""')}"\r\n`);
  return `student\r\n${lines.join('')}`;
}

/** Writes who of the roster has no answer, and gives the file's SHA-256 (hex); without a roster no old list stays. */
export async function writeMissing(path: string, students: readonly string[] | null): Promise<string | null> {
  if (students === null) {
    await rm(path, { force: true });
    return null;
  }
  const text = missingText(students);
  await makePrivateFolder(dirname(path));
  await replaceFile(path, text);
  return hash('sha256', text, 'hex');
}
