import { recordSeparator } from './frame.ts';

/** The first record of a connection: which protocol the client speaks. `next` is where the records after it begin. */
export type Handshake = { readonly next: number } | { readonly error: string };

/** Bytes of a handshake request; real ones have about 30. */
const maxBytes = 512;

/**
 * Reads the handshake request, `{"protocol":"json","version":1}`. Version 2 differs from 1 only in records that a
 * client sends when stateful reconnect was negotiated, which this server never offers.
 */
export function readHandshake(message: Buffer): Handshake {
  const end = message.indexOf(recordSeparator);
  if (end < 0 || end > maxBytes) return { error: 'The handshake request is not one complete record.' };
  let request: { protocol?: unknown; version?: unknown } | null;
  try {
    request = JSON.parse(message.toString('utf8', 0, end));
  } catch {
    return { error: 'The handshake request is not JSON.' };
  }
  if (request?.protocol !== 'json') return { error: 'The protocol is not supported: use json.' };
  if (request.version !== 1 && request.version !== 2) return { error: 'The protocol version is not supported: use 1.' };
  return { next: end + 1 };
}
