import { createHash } from 'node:crypto';
import type { Sha256 } from './chain.ts';

/** SHA-256 by node:crypto: synchronous, a microsecond instead of a trip through the thread pool. */
export const nodeSha256: Sha256 = (bytes) => createHash('sha256').update(bytes).digest();
