import { StringDecoder } from 'node:string_decoder';

/** Characters of one line at most; what is longer comes in pieces. */
const longestLine = 1_048_576;

/**
 * The lines of a stream of bytes, taken from it no faster than they are used. A last line without a line break comes
 * too. Rejects when the stream breaks off.
 */
export async function* textLines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.write(Buffer.from(chunk))).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) yield part.endsWith('\r') ? part.slice(0, -1) : part;
    if (rest.length < longestLine) continue;
    yield rest;
    rest = '';
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}
