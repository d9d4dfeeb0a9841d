import { isUtf8 } from 'node:buffer';
import { checkWriter } from '#queue/identity.ts';
import { limits } from '#queue/limits.ts';
import { admitPayload } from '#queue/payload.ts';
import { parseSlice, type Slice, scanArray, scanObject, skipWhite } from './jsonscan.ts';

/** The events of one request: seqs from `firstSeq` on without gaps, all of one writer. */
export interface IngestEvents {
  readonly writer: string;
  readonly firstSeq: number;
  readonly payloads: readonly Buffer[];
}

/** Why a body is refused as a whole: nothing of it was taken. */
export interface BodyRefusal {
  readonly status: 400 | 409 | 422;
  readonly code: string;
  readonly message: string;
}

/**
 * Reads the body of `POST /exam/events`: a JSON array, or one JSON object a line (NDJSON), of `{writer, seq, event}`.
 * Strict as the frames of a WebSocket are: no key twice, no other keys, the event's bytes as they stood.
 */
export function readIngestBody(body: Buffer): IngestEvents | BodyRefusal {
  if (!isUtf8(body)) return malformed('The body is not UTF-8.');
  const at = skipWhite(body, 0, body.length);
  const items = body[at] === 0x5b ? scanArray(body, at, body.length, limits.batchEvents) : splitLines(body);
  if (!items) return malformed(`The body is not a JSON array of at most ${limits.batchEvents} events.`);
  if (items.length === 0 || items.length > limits.batchEvents) {
    return malformed(`Send 1 to ${limits.batchEvents} events.`);
  }
  return collect(body, items);
}

function splitLines(body: Buffer): Slice[] {
  const lines: Slice[] = [];
  for (let from = 0; from < body.length && lines.length <= limits.batchEvents; ) {
    const newline = body.indexOf(0x0a, from);
    const to = newline < 0 ? body.length : newline;
    if (skipWhite(body, from, to) < to) lines.push({ from, to });
    from = to + 1;
  }
  return lines;
}

function collect(body: Buffer, items: readonly Slice[]): IngestEvents | BodyRefusal {
  const payloads: Buffer[] = [];
  let writer: string | null = null;
  let firstSeq = 0;
  for (const [index, item] of items.entries()) {
    const one = readItem(body, item);
    if ('status' in one) return { ...one, message: `Event ${index + 1} of the request: ${one.message}` };
    if (index === 0) {
      ({ writer, seq: firstSeq } = one);
    } else if (one.writer !== writer) {
      return malformed('All events of a request must be of one writer.');
    } else if (one.seq !== firstSeq + index) {
      return { status: 409, code: `gap:${firstSeq + index}`, message: 'Seqs must follow one another without gaps.' };
    }
    payloads.push(one.payload);
  }
  return { writer: writer!, firstSeq, payloads };
}

function readItem(body: Buffer, { from, to }: Slice): { writer: string; seq: number; payload: Buffer } | BodyRefusal {
  const members = scanObject(body, from, to, 3);
  const slice = (key: string) => members?.find((member) => member.key === key);
  const [writerAt, seqAt, eventAt] = [slice('writer'), slice('seq'), slice('event')];
  if (!writerAt || !seqAt || !eventAt) return malformed('it is not {"writer": ..., "seq": ..., "event": ...}.');
  const writer = parseSlice(body, writerAt);
  const seq = parseSlice(body, seqAt);
  if (typeof writer !== 'string' || checkWriter(writer) !== null) return malformed('writer is not a writer id.');
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) return malformed('seq is not a whole number from 1 on.');
  const payload = body.subarray(eventAt.from, eventAt.to);
  const refusal = admitPayload(payload);
  if (refusal === 'payload_not_json') return malformed('event is not JSON.');
  if (refusal) return { status: 422, code: refusal, message: 'the event cannot be kept by every database.' };
  return { writer, seq: seq as number, payload };
}

function malformed(message: string): BodyRefusal {
  return { status: 400, code: 'malformed', message };
}
