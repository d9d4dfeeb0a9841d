import { oraError } from './oraerror.ts';

// Values as the engine holds them: NUMBER as bigint or number; texts; RAW and BLOB as bytes; a date or timestamp as
// `YYYY-MM-DD HH:MM:SS.fffffffff`, which sorts, with a Z behind it when it is a moment (UTC) and not a wall time.

export type Value = bigint | number | string | Uint8Array | null;

export type TypeName =
  | 'NUMBER'
  | 'VARCHAR2'
  | 'CHAR'
  | 'CLOB'
  | 'BLOB'
  | 'RAW'
  | 'DATE'
  | 'TIMESTAMP'
  | 'TIMESTAMPTZ'
  | 'TIMESTAMPLTZ';

export interface ColumnType {
  readonly name: TypeName;
  /** Of texts in bytes, or in characters when `chars`; of RAW in bytes; else 0. */
  readonly length: number;
  readonly chars: boolean;
  /** Of NUMBER; null is any. */
  readonly precision: number | null;
  /** Of NUMBER, or the digits of a second. */
  readonly scale: number;
  /** As the dictionary and SQLite's declared type have it. */
  readonly text: string;
}

export const mostTextBytes = 4_000;

/** A type as it was declared, in upper case with single spaces; null when it is none of ours. */
export function columnType(text: string): ColumnType | null {
  const parts = /^([A-Z0-9]+)(?: ?\( ?(\d+)(?: (BYTE|CHAR)| ?, ?(-?\d+))? ?\))?( WITH (LOCAL )?TIME ZONE)?$/.exec(text);
  if (parts === null) return null;
  const [, word, first, unit, second, zoned, local] = parts;
  const size = first === undefined ? null : Number(first);
  const type = (name: TypeName, shown: string, rest: Partial<ColumnType> = {}): ColumnType => ({
    ...{ name, length: 0, chars: false, precision: null, scale: 0, text: shown },
    ...rest,
  });
  switch (word) {
    case 'NUMBER':
      if (size === null) return type('NUMBER', 'NUMBER', { scale: -127 });
      return type('NUMBER', `NUMBER(${size},${second ?? 0})`, { precision: size, scale: Number(second ?? 0) });
    case 'INTEGER':
    case 'INT':
    case 'SMALLINT':
      return type('NUMBER', 'NUMBER(38,0)', { precision: 38 });
    case 'VARCHAR2':
    case 'VARCHAR':
      if (size === null || size < 1 || size > mostTextBytes) throw oraError(910);
      return type('VARCHAR2', `VARCHAR2(${size} ${unit ?? 'BYTE'})`, { length: size, chars: unit === 'CHAR' });
    case 'CHAR':
      return type('CHAR', `CHAR(${size ?? 1} ${unit ?? 'BYTE'})`, { length: size ?? 1, chars: unit === 'CHAR' });
    case 'RAW':
      return size === null ? null : type('RAW', `RAW(${size})`, { length: size });
    case 'CLOB':
    case 'BLOB':
    case 'DATE':
      return type(word, word);
    case 'TIMESTAMP': {
      const scale = size ?? 6;
      if (zoned === undefined) return type('TIMESTAMP', `TIMESTAMP(${scale})`, { scale });
      const name = local === undefined ? 'TIMESTAMPTZ' : 'TIMESTAMPLTZ';
      return type(name, `TIMESTAMP(${scale})${zoned}`, { scale });
    }
    default:
      return null;
  }
}

/** A value as a column of that type stores it, or the error that Oracle raises. `column` is `"OWNER"."TABLE"."COLUMN"`. */
export function stored(value: Value, type: ColumnType, column: string, zoneMinutes: number): Value {
  if (value === null || value === '') return null;
  switch (type.name) {
    case 'NUMBER':
      return storedNumber(value, type);
    case 'VARCHAR2':
    case 'CHAR':
      return storedText(String(value), type, column);
    case 'CLOB':
      return String(value);
    case 'RAW':
    case 'BLOB': {
      const bytes = typeof value === 'string' ? Buffer.from(value, 'hex') : (value as Uint8Array);
      if (type.name === 'RAW' && bytes.length > type.length) throw tooLarge(column, bytes.length, type.length);
      return bytes;
    }
    default:
      return storedTime(String(value), type, zoneMinutes);
  }
}

function storedNumber(value: Value, { precision, scale }: ColumnType): Value {
  const number = typeof value === 'string' ? readNumber(value) : (value as number | bigint);
  if (precision === null) return number;
  const rounded = typeof number === 'bigint' || scale < 0 ? number : whole(Number(number.toFixed(scale)));
  const most = 10 ** (precision - scale);
  if (rounded >= most || rounded <= -most) throw oraError(1438);
  return rounded;
}

export function readNumber(text: string): number | bigint {
  const trimmed = text.trim();
  if (/^[+-]?\d{1,18}$/.test(trimmed)) return BigInt(trimmed);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) throw oraError(1722);
  return whole(Number(trimmed));
}

/** An integer as bigint: SQLite would take a number for a floating-point one. */
function whole(number: number): number | bigint {
  return Number.isSafeInteger(number) ? BigInt(number) : number;
}

function storedText(text: string, type: ColumnType, column: string): string {
  const bytes = Buffer.byteLength(text);
  const size = type.chars ? [...text].length : bytes;
  if (size > type.length || bytes > mostTextBytes) throw tooLarge(column, size, type.length);
  return type.name === 'CHAR' ? text + ' '.repeat(type.length - size) : text;
}

function tooLarge(column: string, actual: number, most: number) {
  return oraError(12899, `${column} (actual: ${actual}, maximum: ${most})`);
}

const canonical = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}Z?$/;

export function isTime(text: string): boolean {
  return canonical.test(text);
}

/** What stands in `TIMESTAMP '...'` or `DATE '...'`. */
export function timeLiteral(text: string): string {
  const [, head, fraction = ''] = /^(\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?)(?:\.(\d{1,9}))?$/.exec(text.trim()) ?? [];
  if (head === undefined) throw oraError(1861);
  return `${head.length === 10 ? `${head} 00:00:00` : head}.${fraction.padEnd(9, '0')}`;
}

function storedTime(text: string, type: ColumnType, zoneMinutes: number): string {
  if (!isTime(text)) throw oraError(1843);
  const moment = text.endsWith('Z');
  const wants = type.name === 'TIMESTAMPTZ' || type.name === 'TIMESTAMPLTZ';
  const shift = moment === wants ? 0 : moment ? zoneMinutes : -zoneMinutes;
  const places = type.name === 'DATE' ? 0 : type.scale;
  return shifted(text, shift, places) + (wants ? 'Z' : '');
}

/** Moves a time by minutes and rounds it to so many digits of a second. */
function shifted(text: string, minutes: number, places: number): string {
  const nanos = Number(text.slice(20, 29));
  const unit = 10 ** (9 - places);
  const rounded = places === 0 ? Math.floor(nanos / unit) * unit : Math.round(nanos / unit) * unit;
  const carry = rounded >= 1_000_000_000;
  if (minutes === 0 && !carry) return `${text.slice(0, 20)}${String(rounded).padStart(9, '0')}`;
  const ms = Date.parse(`${text.slice(0, 10)}T${text.slice(11, 19)}Z`) + minutes * 60_000 + (carry ? 1_000 : 0);
  return `${isoSeconds(ms)}.${String(carry ? 0 : rounded).padStart(9, '0')}`;
}

function isoSeconds(ms: number): string {
  const iso = new Date(ms).toISOString();
  if (iso.length !== 24) throw oraError(1841);
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}

/** A moment, from ms since 1970. */
export function momentOf(ms: number): string {
  return `${isoSeconds(ms)}.${String(Math.floor(ms) % 1_000).padStart(3, '0')}000000Z`;
}
