import { createHash } from 'node:crypto';

type Staged = readonly (string | number | null)[];

/** SHA-256 over rows as they are staged, in the order of the log, however they come in batches. */
export function stagedDigest() {
  const hash = createHash('sha256');
  let rows = 0;
  let bytes = 0;
  return {
    get rows() {
      return rows;
    },
    /** Of what was hashed: UTF-8. */
    get bytes() {
      return bytes;
    },
    add(batch: readonly Staged[]): void {
      const text = Buffer.from(textOf(batch));
      hash.update(text);
      bytes += text.length;
      rows += batch.length;
    },
    /** Hex. Nothing is added after it. */
    end: (): string => hash.digest('hex'),
  };
}

/** The length of a text keeps it apart from its neighbours. */
function textOf(batch: readonly Staged[]): string {
  let text = '';
  for (const row of batch) {
    for (const value of row) text += typeof value === 'string' ? `${value.length}:${value}` : `${value} `;
  }
  return text;
}
