/** A value of a Secret, which must be in no file of a bundle. */
export interface SecretValue {
  readonly secret: string;
  readonly key: string;
  readonly bytes: Buffer;
}

export interface Scrubber {
  /** The text with every occurrence of a secret replaced by its name. A secret of several lines is found by each. */
  scrub(text: string): string;
}

/** Shorter ones stand in any text by chance. */
const shortestSecret = 6;
/** A word within a value (a key in a line of an ACL file): so long that no plain word is. */
const shortestWord = 20;
/** Who logs in is no secret, and may be called as the program is; neither are certificates. */
const publicKeys = ['username', 'ca.crt', 'tls.crt'];
/** What looks like a secret, whoever's it is: tokens, and passwords in URLs. */
const tokens = /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g;
const urlPasswords = /(:\/\/[^\s/:@]*:)[^\s/@]+@/g;

/** Finds values as they are, as JSON, URLs, base64 and base64url write them. */
export function createScrubber(values: readonly SecretValue[]): Scrubber {
  const names = new Map<string, string>();
  for (const { secret, key, bytes } of values) {
    if (publicKeys.includes(key)) continue;
    for (const needle of needlesOf(bytes)) names.set(needle, `(secret ${secret} ${key})`);
  }
  const known = [...names.keys()].sort((a, b) => b.length - a.length);
  return {
    scrub(text) {
      let clean = text;
      for (const needle of known) if (clean.includes(needle)) clean = clean.replaceAll(needle, names.get(needle)!);
      return clean.replaceAll(tokens, '(token)').replaceAll(urlPasswords, '$1(password)@');
    },
  };
}

function needlesOf(bytes: Buffer): Set<string> {
  const text = bytes.toString('utf8');
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const words = text.split(/\s+/).flatMap((word) => [word, word.replace(/^[#>]/, '')]);
  const plain = [
    ...lines.filter((line) => line.length >= shortestSecret && !line.startsWith('-----')),
    ...words.filter((word) => word.length >= shortestWord && !word.startsWith('-----')),
  ];
  const written = plain.flatMap((value) => [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)]);
  const whole = [bytes, Buffer.from(text.trim())].flatMap((value) => [
    value.toString('base64'),
    value.toString('base64').replace(/=+$/, ''),
    value.toString('base64url'),
  ]);
  return new Set([...written, ...whole.filter((value) => value.length >= shortestSecret + 2)]);
}
