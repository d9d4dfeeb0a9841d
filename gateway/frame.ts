import { admitPayload, type PayloadRefusal } from '#queue/payload.ts';
import { parseSlice, type Slice, scanArray, scanObject } from './jsonscan.ts';

/**
 * One record of the SignalR hub protocol (JSON), as a client sends it. Rules: HubProtocol.md and TransportProtocols.md
 * of dotnet/aspnetcore, src/SignalR/docs/specs. `invocationId` is null for a send, which gets no completion.
 */
export type Frame =
  /** `Submit(seq, event)` with an event that the queue may take. `payload` is a view into the message. */
  | { kind: 'submit'; invocationId: string | null; seq: number; payload: Buffer }
  /** `Submit(seq, event)` with an event that no sink could load. */
  | { kind: 'unfit'; invocationId: string | null; seq: number; refusal: PayloadRefusal }
  /** Every other call, also a `Submit` whose arguments are not a seq and an event. */
  | { kind: 'call'; invocationId: string | null; target: string; args: unknown[] }
  /** A call that asks for a stream of answers; there is no such method. */
  | { kind: 'stream'; invocationId: string }
  | { kind: 'ping' }
  | { kind: 'close' }
  /** Valid, and of no meaning to this server: answers to calls that it never makes, later additions. */
  | { kind: 'ignored' }
  | { kind: 'malformed'; reason: string };

/** Ends every record. JSON holds it only escaped, so it never occurs within one. */
export const recordSeparator = 0x1e;

/** Members of a record and arguments of a call beyond which a record is malformed. */
const mostMembers = 16;
const mostArguments = 16;

/** An invocation id is given back in a completion as it came: printable ASCII that needs no escaping. */
const invocationIdPattern = /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}$/;

const ourHead = Buffer.from('{"type":1,"target":"Submit","arguments":[');
const stockHead = Buffer.from('{"target":"Submit","arguments":[');
const stockTail = Buffer.from(',"type":1}');
const stockId = Buffer.from(',"invocationId":"');

/** Digits of a seq that the quick way reads: far below 2^53. */
const quickDigits = 12;

const malformed = (reason: string): Frame => ({ kind: 'malformed', reason });

/**
 * Reads the record `message[start..end)` (without its separator): {@link decodeSubmit} for the two shapes that nearly
 * all records have, else {@link decodeRecord}. Both agree where both apply.
 * @param message valid UTF-8
 */
export function decodeFrame(message: Buffer, start: number, end: number): Frame {
  return decodeSubmit(message, start, end) ?? decodeRecord(message, start, end);
}

/**
 * The quick way: exactly what this project's client sends, `{"type":1,"target":"Submit","arguments":[SEQ,EVENT]}`, and
 * what @microsoft/signalr sends, `{"target":"Submit","arguments":[SEQ,EVENT],"invocationId":"DIGITS","type":1}` (the id
 * only for an invocation). When what stands between such a head and tail is one valid JSON value, the record cannot be
 * read in any other way. Null: some other shape, or an event to refuse; the long way decides.
 */
export function decodeSubmit(message: Buffer, start: number, end: number): Frame | null {
  let at = start;
  let to = end;
  let invocationId: string | null = null;
  if (startsWith(message, start, end, ourHead)) {
    at += ourHead.length;
    to -= 1;
    if (message[to] !== 0x7d) return null;
  } else if (
    startsWith(message, start, end, stockHead) &&
    startsWith(message, end - stockTail.length, end, stockTail)
  ) {
    at += stockHead.length;
    to -= stockTail.length;
    if (message[to - 1] === 0x22) {
      const idAt = digitsBefore(message, to - 1, at);
      invocationId = message.toString('latin1', idAt, to - 1);
      to = idAt - stockId.length;
      if (invocationId === '' || to <= at || !startsWith(message, to, end, stockId)) return null;
    }
  } else return null;
  to -= 1;
  if (message[to] !== 0x5d) return null;

  const seqEnd = digitsAfter(message, at, to);
  if (seqEnd === at || message[at] === 0x30 || message[seqEnd] !== 0x2c) return null;
  const seq = wholeNumber(message, at, seqEnd);
  const payload = message.subarray(seqEnd + 1, to);
  return seqEnd < to && admitPayload(payload) === null ? { kind: 'submit', invocationId, seq, payload } : null;
}

function startsWith(message: Buffer, at: number, end: number, what: Buffer): boolean {
  if (at < 0 || end - at < what.length) return false;
  for (let index = 0; index < what.length; index++) {
    if (message[at + index] !== what[index]) return false;
  }
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function digitsAfter(message: Buffer, at: number, end: number): number {
  const most = Math.min(end, at + quickDigits);
  while (at < most && isDigit(message[at])) at++;
  return at;
}

function wholeNumber(message: Buffer, at: number, end: number): number {
  let value = 0;
  for (; at < end; at++) value = value * 10 + message[at]! - 0x30;
  return value;
}

function digitsBefore(message: Buffer, at: number, start: number): number {
  const most = Math.max(start, at - quickDigits);
  while (at > most && isDigit(message[at - 1])) at--;
  return at;
}

/**
 * The long way: any record of the protocol. Strict where a scanner and a parser could disagree: one object and nothing
 * else, no key twice, every value valid JSON.
 */
export function decodeRecord(message: Buffer, start: number, end: number): Frame {
  const members = scanObject(message, start, end, mostMembers);
  if (!members) return malformed('not one JSON object with every key once');
  const slices = new Map(members.map((member) => [member.key, member]));
  // The arguments are read later: those of Submit are not to be parsed twice.
  const values = new Map<string, unknown>();
  for (const member of members) {
    if (member.key === 'arguments') continue;
    const value = parseSlice(message, member);
    if (value === undefined) return malformed(`the value of ${JSON.stringify(member.key.slice(0, 40))} is not JSON`);
    values.set(member.key, value);
  }
  const type = values.get('type');
  if (!Number.isSafeInteger(type)) return malformed('the type is not a whole number');
  const args = slices.get('arguments');
  if (type === 1 || type === 4) return decodeCall(message, type, values, args);
  if (args && parseSlice(message, args) === undefined) return malformed('the arguments are not JSON');
  if (type === 6) return { kind: 'ping' };
  return { kind: type === 7 ? 'close' : 'ignored' };
}

function decodeCall(message: Buffer, type: 1 | 4, values: Map<string, unknown>, args: Slice | undefined): Frame {
  const target = values.get('target');
  const invocationId = values.get('invocationId') ?? null;
  if (typeof target !== 'string' || target === '') return malformed('the target is not a text');
  if (invocationId !== null && (typeof invocationId !== 'string' || !invocationIdPattern.test(invocationId))) {
    return malformed('the invocation id is not 1 to 64 printable ASCII characters without quotes and backslashes');
  }
  const items = args ? scanArray(message, args.from, args.to, mostArguments) : null;
  if (!items) return malformed(`the arguments are not an array of at most ${mostArguments}`);
  if (type === 1 && target === 'Submit' && items.length === 2) {
    return decodeArguments(message, invocationId, items[0]!, items[1]!);
  }
  const parsed = items.map((item) => parseSlice(message, item));
  if (parsed.includes(undefined)) return malformed('an argument is not JSON');
  if (type === 1) return { kind: 'call', invocationId, target, args: parsed };
  return invocationId === null ? malformed('a stream needs an invocation id') : { kind: 'stream', invocationId };
}

function decodeArguments(message: Buffer, invocationId: string | null, first: Slice, second: Slice): Frame {
  const seq = parseSlice(message, first);
  const payload = message.subarray(second.from, second.to);
  const refusal = admitPayload(payload);
  if (seq === undefined || refusal === 'payload_not_json') return malformed('an argument is not JSON');
  // Only this refusal comes before a look at the JSON itself.
  if (refusal === 'payload_too_large' && parseSlice(message, second) === undefined) {
    return malformed('an argument is not JSON');
  }
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) {
    return { kind: 'call', invocationId, target: 'Submit', args: [] };
  }
  if (refusal) return { kind: 'unfit', invocationId, seq: seq as number, refusal };
  return { kind: 'submit', invocationId, seq: seq as number, payload };
}
