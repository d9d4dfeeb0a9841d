import { closeSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { isProblem, problem } from '#queue/problem.ts';
import type { Scrubber } from './scrubber.ts';

/** The folder that a bundle is written to. Nothing gets into it but through the scrubber. */
export interface BundleFolder {
  readonly path: string;
  readonly files: readonly string[];
  readonly notIncluded: readonly string[];
  writeText(file: string, text: string): void;
  writeYaml(file: string, value: unknown): void;
  /** Line by line. A log without a line makes no file. */
  writeLines(file: string, lines: AsyncIterable<string>): Promise<void>;
  /** Does a part of the work. When it fails, the bundle goes on without, and says so. */
  part(what: string, work: () => Promise<void>): Promise<void>;
  leaveOut(what: string, why: string): void;
}

export const notIncludedFile = 'not-included.txt';

/** @throws Problem `folder_in_use` when there is something in it */
export function openBundleFolder(folder: string, scrubber: () => Scrubber): BundleFolder {
  const path = resolve(folder);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (readdirSync(path).length > 0) {
    throw problem('folder_in_use', `there is something in ${path}`, 'name another folder with -o');
  }
  const files: string[] = [];
  const notIncluded: string[] = [];
  const open = (file: string) => {
    const at = join(path, file);
    mkdirSync(dirname(at), { recursive: true, mode: 0o700 });
    files.push(file);
    return at;
  };
  const writeText = (file: string, text: string) => writeFileSync(open(file), scrubber().scrub(text), { mode: 0o600 });
  const leaveOut = (what: string, why: string) => {
    notIncluded.push(scrubber().scrub(`${what}: ${why}`));
  };
  return {
    ...{ path, files, notIncluded, writeText, leaveOut },
    writeYaml: (file, value) => writeText(file, stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })),
    async writeLines(file, lines) {
      let opened: number | null = null;
      try {
        for await (const line of lines) {
          opened ??= openSync(open(file), 'w', 0o600);
          writeSync(opened, `${scrubber().scrub(line)}\n`);
        }
      } finally {
        if (opened !== null) closeSync(opened);
      }
    },
    async part(what, work) {
      try {
        await work();
      } catch (error) {
        if (!isProblem(error)) throw error;
        leaveOut(what, `${error.message}\n  ${error.remedy}`);
      }
    },
  };
}
