import { oraError } from './oraerror.ts';
import type { TtcReader, TtcWriter } from './packets.ts';
import { wireType } from './wirevalues.ts';

type Lob = string | Uint8Array;

const operation = {
  length: 0x01,
  read: 0x02,
  write: 0x40,
  createTemporary: 0x110,
  chunkSize: 0x4000,
  open: 0x8000,
  close: 0x10000,
} as const;
const chunkBytes = 8_060;
const dataMessage = 14;

/** The large objects of a connection, by the locators that the client has. They live as long as the connection. */
export function createLobs() {
  const kept = new Map<number, Lob>();
  let next = 1;
  function locator(id: number): Buffer {
    const bytes = Buffer.alloc(40);
    bytes.writeUInt32BE(id, 16);
    return bytes;
  }
  function keep(lob: Lob): number {
    kept.set(next, lob);
    return next++;
  }
  const find = (where: Buffer): Lob => {
    const lob = kept.get(where.readUInt32BE(16));
    if (lob === undefined) throw oraError(22275);
    return lob;
  };
  return {
    keep: (lob: Lob): Buffer => locator(keep(lob)),
    find,
    /** Function 96; writes all but the end of the call. */
    operate(reader: TtcReader, to: TtcWriter): void {
      const request = readOperation(reader);
      let where: Buffer = request.locator;
      let amount = 0;
      if (request.operation === operation.createTemporary)
        where = locator(keep(request.destination === wireType.blob ? Buffer.alloc(0) : ''));
      else if (request.operation === operation.read) {
        const part = find(where).slice(request.offset - 1, request.offset - 1 + request.amount);
        amount = part.length;
        to.u8(dataMessage).bytes(Buffer.from(part as string));
      } else if (request.operation === operation.write) write(where, request.offset, request.data);
      else if (request.operation === operation.length) amount = find(where).length;
      else if (request.operation === operation.chunkSize) amount = chunkBytes;
      else if (request.operation !== operation.open && request.operation !== operation.close) {
        throw oraError(3001, `LOB operation ${request.operation}`);
      }
      to.u8(8).raw(where);
      if (request.operation === operation.createTemporary) to.ub(873).u8(0);
      else if (request.wantsAmount) to.ub(amount);
    },
  };

  function write(where: Buffer, offset: number, data: Buffer): void {
    const id = where.readUInt32BE(16);
    const lob = find(where);
    if (typeof lob === 'string') kept.set(id, lob.slice(0, offset - 1) + data.toString());
    else kept.set(id, Buffer.concat([lob.subarray(0, offset - 1), data]));
  }
}

function readOperation(reader: TtcReader) {
  reader.u8();
  const locatorBytes = reader.ub();
  reader.u8();
  reader.ub();
  reader.ub();
  reader.ub();
  reader.skip(3);
  const code = reader.ub();
  reader.skip(2);
  const [offset, destination] = [reader.ub(), reader.ub()];
  const wantsAmount = reader.u8() === 1;
  reader.skip(6);
  const locator = Buffer.from(reader.take(locatorBytes));
  if (code === operation.createTemporary) reader.ub();
  const data =
    code === operation.write && reader.u8() === dataMessage ? (reader.bytes() ?? Buffer.alloc(0)) : Buffer.alloc(0);
  const amount = wantsAmount ? reader.ub() : 0;
  return { operation: code, offset, destination, wantsAmount, locator, data, amount };
}
