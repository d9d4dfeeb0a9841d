import type { Changed } from './change.ts';
import type { Value } from './columntypes.ts';
import type { OraError } from './oraerror.ts';
import type { TtcWriter } from './packets.ts';
import type { ResultColumn } from './query.ts';
import { encodeValue, wireType, wireTypeOf } from './wirevalues.ts';

// What the server says, of TTC field version 12 (19.1): newer ones have more fields.

export const fieldVersion = 12;
const transactionFlag = 2;
const charsetUtf8 = 873;

/** Status (9). */
export function status(to: TtcWriter, transaction: boolean): void {
  to.u8(9).ub(transaction ? transactionFlag : 0, 0);
}

export interface CallEnd {
  readonly transaction: boolean;
  readonly error?: OraError;
  readonly count?: number;
  readonly cursor?: number;
  readonly batchErrors?: Changed['batchErrors'];
}

/** Error (4), which also ends calls that went well. */
export function callEnd(to: TtcWriter, { transaction, error, count = 0, cursor = 0, batchErrors = [] }: CallEnd): void {
  const code = error?.ora ?? (batchErrors.length > 0 ? 24381 : 0);
  to.u8(4).ub(transaction ? transactionFlag : 0, 1, 0, 0, 0, 0, cursor, 0);
  to.u8(0, 0, 0, 0, 0, 0);
  // The row's id, of which we have none.
  to.ub(0, 0).u8(0).ub(0, 0);
  to.ub(0).u8(0, 0).ub(0, 0, 0);
  const each = (write: (one: Changed['batchErrors'][number]) => void) => {
    to.ub(batchErrors.length);
    if (batchErrors.length > 0) to.u8(0);
    for (const one of batchErrors) write(one);
  };
  each((one) => void to.ub(one.error.ora));
  each((one) => void to.ub(one.offset));
  each(({ error: { message } }) => void to.ub(Buffer.byteLength(message)).bytes(Buffer.from(message)).u8(0, 0));
  to.ub(code, count);
  if (code !== 0) to.bytes(Buffer.from(`${error?.message ?? 'ORA-24381: error(s) in array DML'}\n`));
}

export function columnInfo(to: TtcWriter, { name, type, nullable }: ResultColumn, position: number): void {
  const wire = wireTypeOf(type);
  const isText = wire === wireType.varchar || wire === wireType.char || wire === wireType.clob;
  const most = type.chars ? Math.min(type.length * 4, 4_000) : type.length;
  const size =
    type.length > 0 ? most : isText || type.name === 'BLOB' ? 4_000 : wire === wireType.timestampTz ? 13 : 22;
  to.u8(wire, 0, type.precision ?? 0, type.scale < 0 ? type.scale + 256 : type.scale);
  to.ub(size, 0, 0, 0, 0, isText ? charsetUtf8 : 0)
    .u8(isText ? 1 : 0)
    .ub(size, 0);
  to.u8(nullable ? 1 : 0, name.length)
    .text(name)
    .ub(0, 0, position, 0);
}

/** Describe (16). */
export function describe(to: TtcWriter, columns: readonly ResultColumn[]): void {
  to.u8(16).bytes(Buffer.alloc(1)).ub(0, columns.length).u8(0);
  for (const [i, column] of columns.entries()) columnInfo(to, column, i + 1);
  to.ub(0, 0, 0, 0, 0, 0);
}

/** Row header (6) and rows (7). `locator` keeps a LOB for a column that is fetched as one. */
export function rowData(
  to: TtcWriter,
  rows: readonly (readonly Value[])[],
  types: readonly number[],
  locator: (value: string | Uint8Array) => Buffer,
): void {
  if (rows.length === 0) return;
  to.u8(6, 0).ub(0, 0, 0, 0, 0, 0);
  for (const row of rows) {
    to.u8(7);
    for (const [i, value] of row.entries()) {
      const type = types[i]!;
      const isLob = type === wireType.clob || type === wireType.blob;
      if (isLob && value !== null) {
        const lob = value instanceof Uint8Array ? value : String(value);
        const where = locator(lob);
        to.ub(where.length, lob.length, 8_060).bytes(where);
      } else if (isLob) to.ub(0);
      else to.bytes(encodeValue(type, value));
      // A null indicator and a return code.
      if (type === wireType.long || type === wireType.longRaw) to.ub(0, 0);
    }
  }
}
