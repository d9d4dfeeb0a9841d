/**
 * Records that the gateway sends: the SignalR hub protocol (JSON), each with its separator. Every one is ASCII, with
 * other characters escaped, so that the bytes of a record are as many as its characters and it can be written as
 * Latin-1, which Node does without a copy.
 */

const separator = '\u001e';

/** Answers the handshake request with success. */
export const handshakeDone = `{}${separator}`;

/** Keeps a connection alive. */
export const ping = `{"type":6}${separator}`;

/** Refuses the handshake; the connection is closed after it. */
export function handshakeFailed(error: string): string {
  return `${ascii({ error })}${separator}`;
}

/** Completes an invocation without a result: the event is durable. */
export function completed(invocationId: string): string {
  return `{"type":3,"invocationId":"${invocationId}","result":null}${separator}`;
}

/** Completes an invocation with a result. */
export function answered(invocationId: string, result: unknown): string {
  return `{"type":3,"invocationId":"${invocationId}","result":${ascii(result)}}${separator}`;
}

/** Completes an invocation with an error: one of the texts of docs/wire-protocol.md. */
export function failed(invocationId: string, error: string): string {
  return `{"type":3,"invocationId":"${invocationId}","error":${ascii(error)}}${separator}`;
}

/** Tells a client that everything of its writer up to `seq` is durable. */
export function durable(seq: number): string {
  return `{"type":1,"target":"Durable","arguments":[${seq}]}${separator}`;
}

/** Calls a method of the client; no answer is expected. */
export function call(target: string, ...args: unknown[]): string {
  return `{"type":1,"target":"${target}","arguments":${ascii(args)}}${separator}`;
}

/** Says why the connection is closed; `allowReconnect` lets a stock client with automatic reconnect try again. */
export function closing(error: string, allowReconnect: boolean): string {
  return `${ascii(allowReconnect ? { type: 7, error, allowReconnect } : { type: 7, error })}${separator}`;
}

function ascii(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
