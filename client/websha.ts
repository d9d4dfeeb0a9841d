import { problem } from '#queue/problem.ts';
import type { Sha256 } from './chain.ts';

/** SHA-256 by WebCrypto, which browsers offer on https and on localhost only. */
export const webSha256: Sha256 = async (bytes) => {
  if (globalThis.crypto?.subtle === undefined) {
    throw problem(
      'no_webcrypto',
      'this page has no WebCrypto, so answers cannot be compared with the server',
      'Serve the page over https (or from localhost), or pass `sha256` to createExamClient.',
    );
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
};
