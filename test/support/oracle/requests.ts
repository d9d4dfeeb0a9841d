import type { Value } from './columntypes.ts';
import type { TtcReader } from './packets.ts';
import { decodeValue, wireType } from './wirevalues.ts';

// What the driver asks for, of TTC field version 12. Fields that a thin client always sends alike are skipped.

export const option = {
  parse: 0x01,
  define: 0x10,
  execute: 0x20,
  fetch: 0x40,
  commit: 0x100,
  batchErrors: 0x80000,
} as const;

export interface BindType {
  readonly type: number;
  readonly most: number;
  readonly form: number;
}

export interface ExecuteRequest {
  readonly options: number;
  readonly cursor: number;
  /** Null: that of the cursor. */
  readonly sql: string | null;
  /** How many rows may come with the reply. */
  readonly prefetch: number;
  readonly binds: readonly BindType[];
  readonly defines: readonly BindType[];
}

/** Function 94; the rows of binds follow. */
export function readExecute(reader: TtcReader): ExecuteRequest {
  const [options, cursor] = [reader.ub(), reader.ub()];
  const hasSql = reader.u8() === 1;
  reader.ub();
  reader.u8();
  reader.ub();
  reader.skip(3);
  const prefetch = reader.ub();
  reader.ub();
  reader.u8();
  const bindCount = reader.ub();
  reader.skip(6);
  const defineCount = reader.ub();
  reader.ub();
  reader.skip(3);
  reader.ub();
  reader.u8();
  reader.ub();
  reader.ub();
  // Counts of rows by statement of an array.
  reader.u8();
  reader.ub();
  reader.u8();
  // The signature and id of the statement, and chunk ids.
  for (let i = 0; i < 2; i++) {
    reader.u8();
    reader.ub();
  }
  reader.u8();
  reader.u8();
  reader.ub();
  const sql = hasSql ? (reader.bytes()?.toString() ?? '') : null;
  for (let i = 0; i < 13; i++) reader.ub();
  const types = Array.from({ length: bindCount + defineCount }, () => readBindType(reader));
  const isDefine = (options & option.define) !== 0;
  return { options, cursor, sql, prefetch, binds: isDefine ? [] : types, defines: isDefine ? types : [] };
}

function readBindType(reader: TtcReader): BindType {
  const type = reader.u8();
  reader.skip(3);
  const most = reader.ub();
  reader.ub();
  reader.ub();
  if (reader.ub() > 0) reader.bytes();
  reader.ub();
  reader.ub();
  const form = reader.u8();
  reader.ub();
  reader.ub();
  return { type, most, form };
}

/** Rows of binds up to the end of the message; values of types longer than 32,767 bytes come last in a row. */
export function readBindRows(
  reader: TtcReader,
  types: readonly BindType[],
  lob: (locator: Buffer) => Value,
): Value[][] {
  const rows: Value[][] = [];
  while (types.length > 0 && reader.left() > 0) {
    if (reader.u8() !== 7) throw new Error('a row of binds expected');
    const row: Value[] = types.map(() => null);
    for (const long of [false, true]) {
      for (const [i, { type, most, form }] of types.entries()) {
        if (most > 32_767 !== long) continue;
        const isLob = type === wireType.clob || type === wireType.blob;
        const value = isLob ? lobOf(reader, lob) : decodeValue(type, form, reader.bytes());
        row[i] = value === '' ? null : value;
      }
    }
    rows.push(row);
  }
  return rows;
}

function lobOf(reader: TtcReader, lob: (locator: Buffer) => Value): Value {
  if (reader.ub() === 0) return null;
  const locator = reader.bytes();
  return locator === null ? null : lob(locator);
}

/** Skips what rides in front of a request, and gives the request's own message type, function and what must be known. */
export function readPiggybacks(reader: TtcReader): { type: number; closed: number[]; schema: string | null } {
  const closed: number[] = [];
  let schema: string | null = null;
  let type = reader.u8();
  for (; type === 17; type = reader.u8()) {
    const code = reader.u8();
    reader.u8();
    // Cursors to close (105) or to cancel (120).
    if (code === 105 || code === 120) {
      reader.u8();
      for (let left = reader.ub(); left > 0; left--) {
        const cursor = reader.ub();
        if (code === 105) closed.push(cursor);
      }
    } else if (code === 152) {
      reader.u8();
      reader.ub();
      schema = reader.bytes()?.toString() ?? null;
    } else if (code === 135) skipEndToEnd(reader);
    else if (code === 96) skipFreedLobs(reader);
    else throw new Error(`the double does not know the piggyback ${code}`);
  }
  return { type, closed, schema };
}

/** Module, action and the like. */
function skipEndToEnd(reader: TtcReader): void {
  reader.skip(2);
  reader.ub();
  const lengths: number[] = [];
  const pair = () => {
    reader.u8();
    return reader.ub();
  };
  for (let i = 0; i < 4; i++) lengths.push(pair());
  pair();
  lengths.push(pair());
  pair();
  pair();
  lengths.push(pair());
  for (const length of lengths) if (length > 0) reader.bytes();
}

function skipFreedLobs(reader: TtcReader): void {
  reader.u8();
  const bytes = reader.ub();
  reader.u8();
  for (let i = 0; i < 3; i++) reader.ub();
  reader.skip(3);
  reader.ub();
  reader.u8();
  for (let i = 0; i < 3; i++) reader.ub();
  reader.u8();
  for (let i = 0; i < 3; i++) {
    reader.u8();
    reader.ub();
  }
  reader.take(bytes);
}
