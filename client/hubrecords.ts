/** The SignalR hub protocol in JSON, as far as an exam needs it: records that end in 0x1E, several in one message. */

const separator = '\u001e';

export const handshakeRecord = `{"protocol":"json","version":1}${separator}`;
export const pingRecord = `{"type":6}${separator}`;

/** What a server can send. `ignored` are kinds that an exam never uses; a newer server may still send them. */
export type HubRecord =
  | { readonly kind: 'invocation'; readonly target: string; readonly args: readonly unknown[] }
  | { readonly kind: 'completion'; readonly id: string; readonly error: string | null; readonly result: unknown }
  | { readonly kind: 'ping' }
  | { readonly kind: 'close'; readonly error: string | null }
  | { readonly kind: 'ignored' };

/** A call without an answer. `argumentTexts` are JSON texts, which travel as they are. */
export function sendRecord(target: string, ...argumentTexts: string[]): string {
  return `{"type":1,"target":"${target}","arguments":[${argumentTexts.join(',')}]}${separator}`;
}

/** A call that the server completes under `id`. */
export function invokeRecord(id: string, target: string, ...argumentTexts: string[]): string {
  return `{"type":1,"invocationId":"${id}","target":"${target}","arguments":[${argumentTexts.join(',')}]}${separator}`;
}

/** Splits one message into its records' texts. Null when the last one does not end, which the protocol forbids. */
export function splitRecords(message: string): string[] | null {
  const texts = message.split(separator);
  return texts.pop() === '' ? texts : null;
}

/** Reads the answer to the handshake: null when accepted, else why not. */
export function readHandshake(text: string): string | null {
  const answer = readObject(text);
  if (answer === null) return 'the answer is not one of the hub protocol';
  return words(answer.error);
}

/** Reads one record; null when it is none. */
export function readRecord(text: string): HubRecord | null {
  const record = readObject(text);
  switch (record?.type) {
    case undefined:
      return null;
    case 1:
      if (!Array.isArray(record.arguments)) return null;
      return { kind: 'invocation', target: String(record.target), args: record.arguments };
    case 3:
      return { kind: 'completion', id: String(record.invocationId), error: words(record.error), result: record.result };
    case 6:
      return { kind: 'ping' };
    case 7:
      return { kind: 'close', error: words(record.error) };
    default:
      return { kind: 'ignored' };
  }
}

function words(error: unknown): string | null {
  return error === undefined || error === null ? null : String(error);
}

function readObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}
