import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onScopeEnd } from './cleanup.ts';

/**
 * Makes an empty folder of this test's own and returns its path. It is removed at the end of the test (of the file,
 * when made outside of a test), and kept and named on stderr when that failed.
 */
export function tmpFolder(name = 'test'): string {
  const folder = mkdtempSync(join(tmpdir(), `untradex-${name}-`));
  onScopeEnd((failed) => {
    if (failed) console.error(`kept for a look: ${folder}`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  return folder;
}
