import { type ColumnType, readNumber, type Value } from './columntypes.ts';
import { oraError } from './oraerror.ts';

// Values as they travel: Oracle's NUMBER, DATE and TIMESTAMP formats, texts in UTF-8 (or UTF-16BE, for CLOBs that are
// loaded by direct path).

export const wireType = {
  varchar: 1,
  number: 2,
  integer: 3,
  long: 8,
  date: 12,
  raw: 23,
  longRaw: 24,
  char: 96,
  clob: 112,
  blob: 113,
  timestamp: 180,
  timestampTz: 181,
  timestampLtz: 231,
} as const;

const wireTypes = {
  NUMBER: wireType.number,
  VARCHAR2: wireType.varchar,
  CHAR: wireType.char,
  CLOB: wireType.clob,
  BLOB: wireType.blob,
  RAW: wireType.raw,
  DATE: wireType.date,
  TIMESTAMP: wireType.timestamp,
  TIMESTAMPTZ: wireType.timestampTz,
  TIMESTAMPLTZ: wireType.timestampLtz,
} as const satisfies Record<ColumnType['name'], number>;

export function wireTypeOf(type: ColumnType): number {
  return wireTypes[type.name];
}

/** @param form 2: UTF-16 */
export function decodeValue(type: number, form: number, bytes: Buffer | null): Value {
  if (bytes === null) return null;
  switch (type) {
    case wireType.number:
    case wireType.integer:
      return readNumber(decodeNumber(bytes));
    case wireType.date:
    case wireType.timestamp:
      return decodeTime(bytes);
    case wireType.timestampTz:
    case wireType.timestampLtz:
      return `${decodeTime(bytes)}Z`;
    case wireType.varchar:
    case wireType.char:
    case wireType.long:
    case wireType.clob:
      return form === 2 ? Buffer.from(bytes).swap16().toString('utf16le') : bytes.toString();
    case wireType.raw:
    case wireType.longRaw:
    case wireType.blob:
      return Buffer.from(bytes);
    default:
      throw oraError(932, `type ${type}`);
  }
}

export function encodeValue(type: number, value: Value): Buffer | null {
  if (value === null || value === '') return null;
  switch (type) {
    case wireType.number:
      return encodeNumber(value);
    case wireType.date:
      return encodeTime(String(value), 7);
    case wireType.timestamp:
    case wireType.timestampLtz:
      return encodeTime(String(value), 11);
    case wireType.timestampTz:
      return Buffer.concat([encodeTime(String(value), 11), Buffer.from([20, 60])]);
    default:
      return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value));
  }
}

/** Base 100, an exponent of 100 in front; negative ones are complemented and end with 102. */
function decodeNumber(bytes: Buffer): string {
  if (bytes.length === 1) return '0';
  const negative = bytes[0]! < 0x80;
  const exponent = (negative ? bytes[0]! ^ 255 : bytes[0]!) - 192;
  let digits = [...bytes.subarray(1)];
  if (negative && digits.at(-1) === 102) digits.pop();
  digits = digits.map((digit) => (negative ? 101 - digit : digit - 1));
  const text = digits.map((digit) => String(digit).padStart(2, '0')).join('');
  const point = exponent * 2;
  const padded = point > text.length ? text.padEnd(point, '0') : text;
  const integer = point > 0 ? padded.slice(0, point).replace(/^0+(?=\d)/, '') : '0';
  const fraction = (point > 0 ? padded.slice(point) : '0'.repeat(-point) + padded).replace(/0+$/, '');
  return `${negative ? '-' : ''}${integer}${fraction === '' ? '' : `.${fraction}`}`;
}

function encodeNumber(value: Exclude<Value, null>): Buffer {
  const plain = plainDigits(value);
  const negative = plain.startsWith('-');
  let [integer = '', fraction = ''] = (negative ? plain.slice(1) : plain).split('.');
  if (integer.length % 2 === 1) integer = `0${integer}`;
  if (fraction.length % 2 === 1) fraction = `${fraction}0`;
  const digits = (integer + fraction).match(/../g)!.map(Number);
  let exponent = integer.length / 2;
  while (digits[0] === 0) {
    digits.shift();
    exponent -= 1;
  }
  while (digits.at(-1) === 0) digits.pop();
  if (digits.length === 0) return Buffer.from([0x80]);
  const first = 192 + exponent;
  if (!negative) return Buffer.from([first, ...digits.slice(0, 20).map((digit) => digit + 1)]);
  return Buffer.from([first ^ 255, ...digits.slice(0, 20).map((digit) => 101 - digit), 102]);
}

/** Without an exponent. */
function plainDigits(value: Exclude<Value, null>): string {
  const text = String(typeof value === 'number' || typeof value === 'bigint' ? value : readNumber(String(value)));
  if (!/e/i.test(text)) return text;
  const number = Number(text);
  return Math.abs(number) >= 1 ? BigInt(number).toString() : number.toFixed(40).replace(/0+$/, '');
}

function decodeTime(bytes: Buffer): string {
  const year = (bytes[0]! - 100) * 100 + bytes[1]! - 100;
  if (year < 1 || year > 9_999) throw oraError(1841);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = `${String(year).padStart(4, '0')}-${two(bytes[2]!)}-${two(bytes[3]!)}`;
  const time = `${two(bytes[4]! - 1)}:${two(bytes[5]! - 1)}:${two(bytes[6]! - 1)}`;
  const nanos = bytes.length >= 11 ? bytes.readUInt32BE(7) : 0;
  return `${day} ${time}.${String(nanos).padStart(9, '0')}`;
}

function encodeTime(text: string, length: 7 | 11): Buffer {
  const bytes = Buffer.alloc(length);
  const number = (from: number, to: number) => Number(text.slice(from, to));
  const year = number(0, 4);
  bytes.set([Math.floor(year / 100) + 100, (year % 100) + 100, number(5, 7), number(8, 10)]);
  bytes.set([number(11, 13) + 1, number(14, 16) + 1, number(17, 19) + 1], 4);
  if (length === 11) bytes.writeUInt32BE(number(20, 29), 7);
  return bytes;
}
