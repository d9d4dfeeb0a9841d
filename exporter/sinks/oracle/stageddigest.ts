import { hash } from 'node:crypto';

/**
 * A digest of rows that does not depend on their order: a table has none, and sorting millions of rows only to compare
 * them would cost the server more than loading them did. SHA-256 of each row with its place in the log, added up word
 * by word; at the end the SHA-256 of count and sums. It finds what goes wrong, not what somebody forges: the proof is
 * made from the published rows and the log (`verify.ts`).
 */
export function stagedDigest() {
  const sums = new Uint32Array(8);
  let rows = 0;
  let bytes = 0;
  return {
    get rows() {
      return rows;
    },
    /** Of the texts that were added. */
    get bytes() {
      return bytes;
    },
    /** @param row values as they are staged */
    add(row: readonly (string | number | null)[]): void {
      let text = '';
      // The length keeps neighbours apart.
      for (const value of row) text += typeof value === 'string' ? `${value.length}:${value}` : `${value} `;
      const digest = hash('sha256', text, 'buffer');
      for (let word = 0; word < 8; word++) sums[word]! += digest.readUInt32BE(word * 4);
      bytes += Buffer.byteLength(text);
      rows += 1;
    },
    /** Hex. */
    end(): string {
      return hash('sha256', `${rows} ${[...sums].join(' ')}`, 'hex');
    },
  };
}
