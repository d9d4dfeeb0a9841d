/**
 * lp(x) of the protocol for each text: four bytes of length, big-endian, then the UTF-8 bytes. Joined like this, no
 * list of texts has the bytes of another list, whatever characters they hold.
 */
export function lengthPrefixed(...texts: string[]): Buffer {
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + 4 + size, 0));
  let offset = 0;
  texts.forEach((text, i) => {
    offset = bytes.writeUInt32BE(sizes[i]!, offset);
    offset += bytes.write(text, offset);
  });
  return bytes;
}
