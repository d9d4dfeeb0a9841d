import { readFileSync } from 'node:fs';
import * as z from 'zod';

/*
 * Reading a program's configuration. What is wrong is collected in a list, a line each that begins with the field, so
 * that a person hears all of it at once.
 */

/** A text field of a configuration: not empty, and what any file system, database or log can hold. */
export const configText = z
  .string()
  .min(1)
  .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must be well-formed text without NUL');

/** The JSON of a configuration file; undefined when it cannot be read, which `wrong` then says. */
export function readConfigJson(path: string, wrong: string[]): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    wrong.push(`the file itself: ${messageOf(error)}`);
    return undefined;
  }
}

/** The trimmed text of a small file that a field names. Empty when it cannot be read; never shows what is in it. */
export function readNamedFile(field: string, path: string, wrong: string[]): string {
  try {
    const content = readFileSync(path, 'utf8').trim();
    if (content === '') wrong.push(`${field}: the file is empty`);
    return content;
  } catch (error) {
    wrong.push(`${field}: ${messageOf(error)}`);
    return '';
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
