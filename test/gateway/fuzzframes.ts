import { isUtf8 } from 'node:buffer';
import { decodeFrame, type Frame } from '#gateway/frame.ts';
import { limits } from '#queue/limits.ts';
import { separator } from './wireclient.ts';

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface SeedFrames {
  /** A valid record, as some client would send it. */
  pick(random: () => number): string;
}

export interface FuzzFrame {
  readonly bytes: Buffer;
  readonly binary: boolean;
}

/**
 * What the gateway has to do about a message of a client that has opened as `writer`: close the connection (`fatal`), or
 * answer or ignore it and go on (`fine`). `unclear`: that depends on what came before.
 */
export function judge({ bytes, binary }: FuzzFrame, writer: string): 'fatal' | 'fine' | 'unclear' {
  if (binary || bytes.length > limits.frameBytes || !isUtf8(bytes)) return 'fatal';
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(separator, at);
    const verdict = end < 0 ? 'fatal' : judgeRecord(decodeFrame(bytes, at, end), writer);
    if (verdict !== 'fine') return verdict;
    at = end + 1;
  }
  return 'fine';
}

function judgeRecord(frame: Frame, writer: string): 'fatal' | 'fine' | 'unclear' {
  if (frame.kind === 'malformed' || frame.kind === 'close') return 'fatal';
  if (frame.kind !== 'call') return 'fine';
  if (frame.target === 'Open' && frame.args[0] !== writer) return 'unclear';
  if (frame.invocationId !== null) return 'fine';
  return ['Open', 'State', 'Finish'].includes(frame.target) ? 'unclear' : 'fatal';
}

const events = ['1', '"x"', '{"answer":"é \\u00e9 \\"]}"}', '[[1],{"a":null}]', '"\\ud83c\\udf93"', 'true', '-1.5e3'];
const targets = ['Submit', 'Open', 'State', 'Finish', 'Nonsense', '__proto__', 'Submit\\u0000'];
const pieces = [
  ...['"', '\\', '{', '}', '[', ']', ',', ':', separator, '\u0000', '\ud83c\udf93', ' ', '\n', '\\u0000', '\\ud800'],
  ...['"type":7', ',"type":1', '"arguments":[', '"invocationId":"1"', '"__proto__":{}', '1e999', '9'.repeat(400)],
];

/** Valid records of every kind, to begin from. */
export function seedFrames(writer: string): SeedFrames {
  const any = <T>(random: () => number, of: readonly T[]) => of[Math.floor(random() * of.length)]!;
  return {
    pick(random) {
      const [seq, event, target] = [1 + Math.floor(random() * 30), any(random, events), any(random, targets)];
      return any(random, [
        `{"type":1,"target":"Submit","arguments":[${seq},${event}]}`,
        `{"target":"Submit","arguments":[${seq},${event}],"type":1}`,
        `{"target":"Submit","arguments":[${seq},${event}],"invocationId":"${seq}","type":1}`,
        `{"type":1,"target":"${target}","invocationId":"${seq}","arguments":[${event}]}`,
        `{"type":1,"target":"Open","invocationId":"p","arguments":["${writer}",0]}`,
        `{"type":1,"target":"Finish","invocationId":"f","arguments":[${seq + 1_000}]}`,
        '{"type":1,"target":"State","invocationId":"s","arguments":[]}',
        '{"type":6}',
        `{"type":${Math.floor(random() * 12)},"invocationId":"1","item":${event}}`,
      ]).concat(separator);
    },
  };
}

/** A record with something wrong, mostly: bytes changed, cut, doubled, wrapped, random, huge or deep. */
export function mutate(random: () => number, frames: SeedFrames): FuzzFrame {
  const kind = random();
  const text = frames.pick(random);
  if (kind < 0.35) return whole(Buffer.from(text));
  if (kind < 0.65) return whole(Buffer.from(splice(random, text)));
  if (kind < 0.85) return whole(flip(random, Buffer.from(text)));
  if (kind < 0.9) return whole(Buffer.from(text.slice(0, Math.floor(random() * text.length))));
  if (kind < 0.92) return whole(Buffer.from(text.repeat(1 + Math.floor(random() * 40))));
  if (kind < 0.94) return whole(Buffer.from(deep(random)));
  if (kind < 0.95) return whole(Buffer.from(huge(random)));
  return { bytes: noise(random), binary: random() < 0.5 };
}

function whole(bytes: Buffer): FuzzFrame {
  return { bytes, binary: false };
}

function splice(random: () => number, text: string): string {
  let result = text;
  for (let edits = 1 + Math.floor(random() * 3); edits > 0; edits--) {
    const at = Math.floor(random() * result.length);
    const cut = random() < 0.5 ? 0 : Math.floor(random() * 5);
    result = result.slice(0, at) + pieces[Math.floor(random() * pieces.length)] + result.slice(at + cut);
  }
  return random() < 0.8 && !result.endsWith(separator) ? result + separator : result;
}

function flip(random: () => number, bytes: Buffer): Buffer {
  for (let count = 1 + Math.floor(random() * 4); count > 0; count--) {
    const at = Math.floor(random() * bytes.length);
    bytes[at] = bytes[at]! ^ (1 << Math.floor(random() * 8));
  }
  return bytes;
}

function deep(random: () => number): string {
  const depth = Math.floor(random() * 8_000);
  const [open, close] = random() < 0.5 ? ['[', ']'] : ['{"a":', '}'];
  const event = open.repeat(depth) + 1 + (random() < 0.5 ? close.repeat(depth) : '');
  return `{"type":1,"target":"Submit","arguments":[1,${event}]}${separator}`;
}

function huge(random: () => number): string {
  const event = `"${'é'.repeat(Math.floor(random() * 40_000))}"`;
  return `{"type":1,"target":"Submit","invocationId":"h","arguments":[1,${event}]}${separator}`;
}

function noise(random: () => number): Buffer {
  return Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256)));
}
