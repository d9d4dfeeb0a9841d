import { writeFileSync } from 'node:fs';

/** A kubelet keeps 4,096 bytes of what a container leaves at its end; some are left to it. */
export const mostOutcomeBytes = 4_000;

const mark = ' ... (cut)';

/**
 * The last line of a program as it is left in a file, with no line break: at most {@link mostOutcomeBytes} bytes of
 * JSON. The longest texts are cut, with a mark, until it fits. Pure.
 */
export function outcomeText(line: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(line);
  if (fits(text)) return text;
  const [name, value] = longestText(line);
  const cut = (length: number) => JSON.stringify({ ...line, [name]: value.slice(0, length).toWellFormed() + mark });
  if (!fits(cut(0))) return outcomeText({ ...line, [name]: mark });
  let [least, most] = [0, value.length];
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (fits(cut(middle))) least = middle;
    else most = middle;
  }
  return cut(least);
}

/** Leaves the last line where whoever runs the program looks for it. One write, before the program ends. */
export function writeOutcome(path: string, line: Readonly<Record<string, unknown>>): void {
  writeFileSync(path, outcomeText(line));
}

function fits(text: string): boolean {
  return Buffer.byteLength(text) <= mostOutcomeBytes;
}

function longestText(line: Readonly<Record<string, unknown>>): [name: string, value: string] {
  const texts = Object.entries(line).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const longest = texts.reduce((a, b) => (b[1].length > a[1].length ? b : a), ['', '']);
  if (longest[1].length <= mark.length) throw new Error('the last line is too long, and not because of a text');
  return longest;
}
