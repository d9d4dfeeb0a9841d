/**
 * Finds where JSON values begin and end in bytes, without parsing them. The scanner follows strings and brackets only;
 * whoever uses a slice gives it to `JSON.parse` (or to `admitPayload`, which does). For valid JSON the scanner's end is
 * the parser's end; where the text is not valid, one of the slices is not either, and the whole is refused. So what the
 * scanner sees and what a parser would see can never differ in something that is let through.
 */

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** JSON's white space: space, tab, line feed, carriage return. */
export function isWhite(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** The first offset from `at` on that is not white space, or `end`. */
export function skipWhite(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && isWhite(bytes[at])) at++;
  return at;
}

/** The offset after the string that begins at `at` (its quote), or -1 when it does not end before `end`. */
export function skipString(bytes: Uint8Array, at: number, end: number): number {
  for (let next = at + 1; next < end; next++) {
    const byte = bytes[next];
    if (byte === quote) return next + 1;
    if (byte === backslash) next++;
  }
  return -1;
}

/** The offset after the value that begins at `at`, or -1 when there is none or it does not end before `end`. */
export function skipValue(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at];
  if (at >= end) return -1;
  if (first === quote) return skipString(bytes, at, end);
  if (first === openBrace || first === openBracket) return skipContainer(bytes, at, end);
  const stop = skipPrimitive(bytes, at, end);
  return stop > at ? stop : -1;
}

function skipContainer(bytes: Uint8Array, at: number, end: number): number {
  let depth = 0;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte === quote) {
      at = skipString(bytes, at, end);
      if (at < 0) return -1;
      continue;
    }
    at++;
    if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at;
  }
  return -1;
}

function skipPrimitive(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at]!;
    if (byte === comma || byte === closeBracket || byte === closeBrace || isWhite(byte)) break;
    at++;
  }
  return at;
}

/** Where a value stands: from `from` up to and without `to`. */
export interface Slice {
  readonly from: number;
  readonly to: number;
}

/** A member of an object: its key, decoded, and where its value stands. */
export interface Member extends Slice {
  readonly key: string;
}

/**
 * The members of the object that is all of `bytes[at..end)` but white space, or null when there is no such object or
 * it says a key twice. The values are not checked yet. At most `most` members.
 */
export function scanObject(bytes: Buffer, at: number, end: number, most: number): Member[] | null {
  const members: Member[] = [];
  const slices = scanItems(bytes, at, end, openBrace, closeBrace, most);
  if (!slices) return null;
  for (const slice of slices) {
    const member = splitMember(bytes, slice);
    if (!member || members.some((other) => other.key === member.key)) return null;
    members.push(member);
  }
  return members;
}

/** The items of the array that is all of `bytes[at..end)` but white space; like {@link scanObject}. */
export function scanArray(bytes: Buffer, at: number, end: number, most: number): Slice[] | null {
  return scanItems(bytes, at, end, openBracket, closeBracket, most);
}

/** Splits `[a, b]` or `{k: a, l: b}` at its commas; for an object an item is key, colon and value. */
function scanItems(bytes: Buffer, at: number, end: number, opens: number, closes: number, most: number) {
  const items: Slice[] = [];
  at = skipWhite(bytes, at, end);
  if (at >= end || bytes[at] !== opens) return null;
  at = skipWhite(bytes, at + 1, end);
  if (bytes[at] === closes && at < end) return skipWhite(bytes, at + 1, end) === end ? items : null;
  while (items.length < most) {
    const to = opens === openBrace ? skipPair(bytes, at, end) : skipValue(bytes, at, end);
    if (to < 0) return null;
    items.push({ from: at, to });
    at = skipWhite(bytes, to, end);
    if (at >= end) return null;
    if (bytes[at] === closes) return skipWhite(bytes, at + 1, end) === end ? items : null;
    if (bytes[at] !== comma) return null;
    at = skipWhite(bytes, at + 1, end);
  }
  return null;
}

function skipPair(bytes: Buffer, at: number, end: number): number {
  const valueAt = valueOfPair(bytes, at, end);
  return valueAt < 0 ? -1 : skipValue(bytes, valueAt, end);
}

/** Where the value of the pair at `at` begins, or -1. */
function valueOfPair(bytes: Buffer, at: number, end: number): number {
  if (at >= end || bytes[at] !== quote) return -1;
  const keyEnd = skipString(bytes, at, end);
  if (keyEnd < 0) return -1;
  const colonAt = skipWhite(bytes, keyEnd, end);
  return colonAt < end && bytes[colonAt] === colon ? skipWhite(bytes, colonAt + 1, end) : -1;
}

function splitMember(bytes: Buffer, { from, to }: Slice): Member | null {
  const keyEnd = skipString(bytes, from, to);
  const key = parseSlice(bytes, { from, to: keyEnd });
  return typeof key === 'string' ? { key, from: valueOfPair(bytes, from, to), to } : null;
}

/** Parses a slice; undefined, which no JSON stands for, when it is not valid. */
export function parseSlice(bytes: Buffer, { from, to }: Slice): unknown {
  try {
    return JSON.parse(bytes.toString('utf8', from, to));
  } catch {
    return undefined;
  }
}
