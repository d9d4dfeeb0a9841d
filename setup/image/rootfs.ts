import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';

/** The folder that becomes the file system of an image. */
export interface Rootfs {
  readonly root: string;
  /** Puts a program at `path`, and the libraries that it needs where its loader looks for them. */
  program(file: string, path: string, libraryFolders?: readonly string[]): void;
  /** Puts the libraries that a file needs, which is not started itself but loaded (an add-on of Node). */
  libraries(file: string, libraryFolders?: readonly string[]): void;
  /** Copies a file or a folder to `path`, following links. */
  copy(from: string, path: string): void;
}

/**
 * Linux alone: `ldd` tells what a program needs. Such an image has no shell and no package manager, so it holds
 * nothing that could be started but what was put in.
 */
export function createRootfs(root: string): Rootfs {
  const at = (path: string) => {
    const to = join(root, path);
    mkdirSync(dirname(to), { recursive: true });
    return to;
  };

  function libraries(file: string, folders: readonly string[] = []): void {
    for (const library of neededBy(file, folders)) {
      // The loader itself stands where the program says; all others are found in the folder of the platform.
      const isLoader = basename(library).startsWith('ld-linux');
      const path = isLoader ? library : join('/lib/x86_64-linux-gnu', basename(library));
      if (!existsSync(join(root, path))) copyFileSync(realpathSync(library), at(path));
    }
  }

  return {
    root,
    libraries,
    program(file, path, folders) {
      copyFileSync(realpathSync(file), at(path));
      libraries(file, folders);
    },
    copy(from, path) {
      cpSync(from, at(path), { recursive: true, dereference: true });
    },
  };
}

/** Paths of the libraries and of the loader. @throws when one is not found */
function neededBy(file: string, folders: readonly string[]): string[] {
  const LD_LIBRARY_PATH = [...folders, process.env.LD_LIBRARY_PATH ?? ''].filter(Boolean).join(delimiter);
  const told = execFileSync('ldd', [file], { encoding: 'utf8', env: { ...process.env, LD_LIBRARY_PATH } });
  const missing = /^\s*(\S+) => not found/m.exec(told);
  if (missing) throw new Error(`${file} needs ${missing[1]}, which is not on this machine`);
  return [...told.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path]) => path!);
}
