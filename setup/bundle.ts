import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, stop } from 'esbuild';

const root = dirname(import.meta.dirname);
const native = ['@duckdb/node-api'];

/** Bundled CommonJS packages still call `require` for Node's own modules. */
const banner =
  "import { createRequire as untradexRequire } from 'node:module'; const require = untradexRequire(import.meta.url);";

/**
 * Makes untradex.mjs and {gateway,exporter,operator}.mjs in a folder, emptied before, which share chunks beside them
 * and need nothing else but packages with native code. An installed package and the image run these, since Node strips
 * no types below node_modules. Programs must not read files beside their source: nothing of the kind is carried along.
 */
export async function bundle(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  try {
    await build({
      absWorkingDir: root,
      entryPoints: {
        untradex: 'cli/main.ts',
        gateway: 'gateway/main.ts',
        exporter: 'exporter/main.ts',
        operator: 'operator/main.ts',
      },
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      // Keeps what is imported late in files of its own: most commands start without DuckDB.
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node24.12',
      external: native,
      banner: { js: banner },
      legalComments: 'linked',
      logLevel: 'warning',
    });
  } finally {
    // Else its process stays for further builds.
    await stop();
  }
}

/** `npm run bundle` */
if (import.meta.main) await bundle(join(root, 'dist'));
