/**
 * A WebSocket text frame from server to client (RFC 6455, 5.2), header and text in one string of bytes: written to the
 * socket as Latin-1, it is one write without a copy, where a WebSocket library writes header and text as two. It may
 * stand between frames that the library writes, since that writes whole frames only.
 * @param ascii text without other characters, so that it has as many bytes
 */
export function textFrame(ascii: string): string {
  const { length } = ascii;
  if (length < 126) return String.fromCharCode(0x81, length) + ascii;
  if (length < 65_536) return String.fromCharCode(0x81, 126, length >> 8, length & 0xff) + ascii;
  const bytes = [24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff);
  return String.fromCharCode(0x81, 127, 0, 0, 0, 0, ...bytes) + ascii;
}
