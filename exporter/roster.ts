import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { problem } from '#queue/problem.ts';

/** A list of student ids, or of lists that begin with one (`[student, extra minutes]`). */
const schema = z.array(z.union([z.string(), z.tuple([z.string()], z.unknown())]));

/** Reads the students that were expected. Problem `roster_invalid`. */
export async function readRoster(path: string): Promise<string[]> {
  try {
    const entries = schema.parse(JSON.parse(await readFile(path, 'utf8')));
    return [...new Set(entries.map((entry) => (typeof entry === 'string' ? entry : entry[0])))];
  } catch (cause) {
    throw problem(
      'roster_invalid',
      `the roster ${path} cannot be read: ${(cause as Error).message}`,
      'It must be a JSON list of student ids, or of lists that begin with one.',
      { cause },
    );
  }
}
