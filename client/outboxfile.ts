/**
 * The format of an outbox in a file, which is also what a student hands in when cut off from the gateways: UTF-8 text,
 * one JSON object a line (NDJSON), every line ended by a line feed. Lines are only ever added.
 *
 *     {"outbox":"untradex-1","session":null,"student":null,"writer":"kT0v…"}    first line; session and student if known
 *     {"seq":1,"event":"{\"question\":1,\"answer\":\"B\"}"}                      an event: its exact JSON text, as a string
 *     {"session":"6f9c…","student":"ada","origin":"9b1d…"}                      learnt at the first connection
 *     {"told":1,"incarnation":"c3…"}                                            what the server had when it last said so
 *
 * Seqs count from 1 without gaps. A later line about session and student replaces what the first one said. The payload
 * of an event (what is hashed, stored and exported) is the UTF-8 of the string `event`. What follows the last readable
 * line is a write that a crash cut off: it was never confirmed to anybody, and never sent.
 */
import { type Problem, problem } from '#queue/problem.ts';
import type { Binding, OutboxContents } from './outbox.ts';
import type { Told } from './resume.ts';

const format = 'untradex-1';

/** @property session uid or name of the session, @property student the student's id, where known beforehand */
export interface OutboxOwner {
  readonly session?: string;
  readonly student?: string;
}

export function headerLine(writer: string, owner: OutboxOwner): string {
  return `${JSON.stringify({ outbox: format, session: owner.session ?? null, student: owner.student ?? null, writer })}\n`;
}

export function eventLine(seq: number, text: string): string {
  return `{"seq":${seq},"event":${JSON.stringify(text)}}\n`;
}

export function bindingLine({ session, student, origin }: Binding): string {
  return `${JSON.stringify({ session, student, origin })}\n`;
}

export function toldLine({ seq, incarnation }: Told): string {
  return `${JSON.stringify({ told: seq, incarnation })}\n`;
}

/** @property goodBytes how much of the file counts; what follows is a torn write, to be cut off before appending */
export interface OutboxFile {
  readonly contents: OutboxContents | null;
  readonly goodBytes: number;
}

/**
 * Reads a whole file. `contents` is null when not even the header was written.
 * @throws Problem `outbox_corrupt` when something else than the end is damaged, or the file is no outbox
 */
export function readOutboxFile(bytes: Uint8Array): OutboxFile {
  const reading: Reading = { writer: null, texts: [], binding: null, told: null };
  let goodBytes = 0;
  let lineNumber = 0;
  for (const line of lines(bytes)) {
    lineNumber++;
    const fault = line.text === null ? 'is not JSON' : addLine(reading, line.text);
    if (fault !== null) {
      if (line.text !== null || !hasNoReadableLine(bytes.subarray(line.end))) throw corrupt(lineNumber, fault);
      break;
    }
    goodBytes = line.end;
  }
  if (reading.writer === null && !looksLikeTornHeader(bytes)) throw corrupt(1, 'is not the header of an outbox');
  return { contents: reading.writer === null ? null : { ...reading, writer: reading.writer }, goodBytes };
}

type Reading = { writer: string | null; texts: string[]; binding: Binding | null; told: Told | null };
type Line = Record<string, unknown>;

/** Every complete line, as an object (null when it is none), and the offset after it. */
function* lines(bytes: Uint8Array): Generator<{ text: Line | null; end: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let start = 0, feed = bytes.indexOf(10); feed >= 0; start = feed + 1, feed = bytes.indexOf(10, start)) {
    let text: unknown = null;
    try {
      text = JSON.parse(decoder.decode(bytes.subarray(start, feed)));
    } catch {
      // Not JSON, or not UTF-8: said by the null.
    }
    yield { text: typeof text === 'object' ? (text as Line | null) : null, end: feed + 1 };
  }
}

function hasNoReadableLine(bytes: Uint8Array): boolean {
  for (const line of lines(bytes)) if (line.text !== null) return false;
  return true;
}

/** Adds what a line says; returns what is wrong with it, or null. */
function addLine(reading: Reading, line: Line): string | null {
  if (reading.writer === null) {
    if (line.outbox !== format || typeof line.writer !== 'string') return 'is not the header of an outbox';
    reading.writer = line.writer;
  } else if (typeof line.seq === 'number' && typeof line.event === 'string') {
    if (line.seq !== reading.texts.length + 1) return `has seq ${line.seq} after ${reading.texts.length}`;
    reading.texts.push(line.event);
  } else if (typeof line.told === 'number' && typeof line.incarnation === 'string') {
    reading.told = { seq: line.told, incarnation: line.incarnation };
  } else if (typeof line.session === 'string' && typeof line.student === 'string' && typeof line.origin === 'string') {
    reading.binding = { session: line.session, student: line.student, origin: line.origin };
  } else return 'has none of the known forms';
  return null;
}

/** Whether a file without a complete first line may be an outbox whose creation was cut off, and not somebody's notes. */
function looksLikeTornHeader(bytes: Uint8Array): boolean {
  const start = new TextEncoder().encode(`{"outbox":"${format}"`).subarray(0, bytes.length);
  return start.every((byte, i) => bytes[i] === byte) || bytes.every((byte) => byte === 0);
}

function corrupt(lineNumber: number, fault: string): Problem {
  return problem(
    'outbox_corrupt',
    `line ${lineNumber} of the outbox ${fault}`,
    'Nothing was changed. Keep the file as evidence, hand it in, and go on with a new path.',
  );
}
