import type { Value } from './columntypes.ts';
import { finishLoad, type Load, loadRows, prepareLoad, readPrepare, readStream } from './directpath.ts';
import { challenge, dataTypes, password, protocol } from './login.ts';
import { oraError } from './oraerror.ts';
import type { TtcReader, TtcWriter } from './packets.ts';
import { callEnd, columnInfo, describe, rowData, status } from './replies.ts';
import { option, readBindRows, readExecute, readPiggybacks } from './requests.ts';
import { execute } from './statements.ts';
import { endTransaction } from './transactions.ts';
import { type OpenCursor, type Request, sessionOf, transaction, type Wire } from './wire.ts';
import { wireTypeOf } from './wirevalues.ts';

/** A request, read far enough to know what it is about. */
export function readRequest(wire: Wire, reader: TtcReader): Request {
  const { type, closed, schema } = readPiggybacks(reader);
  for (const cursor of closed) closeCursor(wire, cursor);
  if (schema !== null && wire.session !== null) wire.session.schema = schema.toUpperCase();
  if (type === 1) return { what: 'protocol', run: protocol };
  if (type === 2) return { what: 'datatypes', run: dataTypes };
  if (type !== 3) throw new Error(`the double does not know messages of type ${type}`);
  const code = reader.u8();
  reader.u8();
  return requestOf(wire, code, reader);
}

const simple: Readonly<Record<number, Request>> = {
  9: { what: 'logoff', run: (wire, _, to) => status(to, transaction(wire)) },
  14: { what: 'commit', run: (wire, _, to) => end(wire, to, true) },
  15: { what: 'rollback', run: (wire, _, to) => end(wire, to, false) },
  96: { what: 'lob', run: lob },
  115: { what: 'password', run: password },
  118: { what: 'logon', run: challenge },
  147: { what: 'ping', run: (wire, _, to) => status(to, transaction(wire)) },
};

function requestOf(wire: Wire, code: number, reader: TtcReader): Request {
  const known = simple[code];
  if (known !== undefined) return known;
  const about = (id: number) => ({ sql: wire.loads.get(id)?.table.name ?? '' });
  switch (code) {
    case 4:
    case 78: {
      const [id, prefetch, first, second] = [reader.ub(), reader.ub(), reader.ub(), reader.ub()];
      const commits = ((code === 4 ? second : first) & 0x1) !== 0 && code === 4;
      return {
        what: 'execute',
        sql: cursorOf(wire, id).sql,
        run: (_, rest, to) => runCursor(wire, rest, to, { id, prefetch, commits, batch: false }),
      };
    }
    case 5: {
      const [id, count] = [reader.ub(), reader.ub()];
      return { what: 'fetch', sql: cursorOf(wire, id).sql, run: (_, __, to) => sendRows(wire, to, id, count) };
    }
    case 94:
      return executeRequest(wire, reader);
    case 128: {
      const names = readPrepare(reader);
      return { what: 'prepare', sql: names.table, run: (_, __, to) => prepare(wire, to, names) };
    }
    case 129: {
      const id = reader.ub();
      return { what: 'load', ...about(id), run: (_, rest, to) => load(wire, rest, to, id) };
    }
    case 130: {
      const finishes = reader.ub() === 2;
      const id = reader.ub();
      return { what: finishes ? 'finish' : 'abort', ...about(id), run: (_, __, to) => endLoad(wire, to, id, finishes) };
    }
    default:
      throw new Error(`the double does not know function ${code}`);
  }
}

function end(wire: Wire, to: TtcWriter, commit: boolean): void {
  endTransaction(wire.database.sqlite, sessionOf(wire), commit);
  status(to, false);
}

function lob(wire: Wire, reader: TtcReader, to: TtcWriter): void {
  wire.lobs.operate(reader, to);
  callEnd(to, { transaction: transaction(wire) });
}

function cursorOf({ cursors }: Wire, id: number): OpenCursor {
  const cursor = cursors.get(id);
  if (cursor === undefined) throw oraError(1001);
  return cursor;
}

function closeCursor({ cursors }: Wire, id: number): void {
  cursors.get(id)?.rows?.close();
  cursors.delete(id);
}

function executeRequest(wire: Wire, reader: TtcReader): Request {
  const request = readExecute(reader);
  const { options, prefetch } = request;
  let id = request.cursor;
  if (id === 0 || request.sql !== null) {
    if (id === 0) id = wire.nextCursor++;
    wire.cursors.set(id, { sql: request.sql ?? '', binds: request.binds, rows: null, types: null });
  }
  const cursor = cursorOf(wire, id);
  if (request.binds.length > 0) cursor.binds = request.binds;
  const { sql } = cursor;
  if (options & option.define) {
    // Nothing is run: the client has seen the columns and says how it wants them.
    const define = (to: TtcWriter) => {
      cursor.types = request.defines.map(({ type }) => type);
      callEnd(to, { transaction: transaction(wire), cursor: id });
    };
    return { what: 'execute', sql, run: (_, __, to) => define(to) };
  }
  const how = {
    id,
    prefetch: options & option.fetch ? prefetch : 0,
    commits: (options & option.commit) !== 0,
    batch: (options & option.batchErrors) !== 0,
  };
  return {
    what: 'execute',
    sql,
    run: (_, rest, to) => runCursor(wire, rest, to, { ...how, describes: request.sql !== null }),
  };
}

interface Run {
  readonly id: number;
  readonly prefetch: number;
  readonly commits: boolean;
  readonly batch: boolean;
  readonly describes?: boolean;
}

async function runCursor(
  wire: Wire,
  reader: TtcReader,
  to: TtcWriter,
  { id, prefetch, commits, batch, describes = false }: Run,
): Promise<void> {
  const cursor = cursorOf(wire, id);
  const rows = readBindRows(reader, cursor.binds, (where): Value => wire.lobs.find(where));
  cursor.rows?.close();
  const outcome = await execute(wire.database, sessionOf(wire), cursor.sql, rows, batch);
  if (commits) endTransaction(wire.database.sqlite, sessionOf(wire), true);
  if (!('cursor' in outcome)) {
    const { count, batchErrors } = outcome;
    return callEnd(to, { transaction: transaction(wire), cursor: id, count, batchErrors });
  }
  cursor.rows = outcome.cursor;
  if (describes) describe(to, outcome.cursor.columns);
  // Rows with LOBs come only after the client has said how it wants them.
  const undefinedLobs =
    cursor.types === null && outcome.cursor.columns.some(({ type: { name } }) => name === 'CLOB' || name === 'BLOB');
  if (undefinedLobs || prefetch === 0) return callEnd(to, { transaction: transaction(wire), cursor: id });
  sendRows(wire, to, id, prefetch);
}

function sendRows(wire: Wire, to: TtcWriter, id: number, count: number): void {
  const cursor = cursorOf(wire, id);
  if (cursor.rows === null) throw oraError(1002);
  const rows = cursor.rows.read(count);
  const types = cursor.types ?? cursor.rows.columns.map(({ type }) => wireTypeOf(type));
  rowData(to, rows, types, (value) => wire.lobs.keep(value));
  const atEnd = rows.length < count;
  if (atEnd) cursor.rows.close();
  callEnd(to, {
    transaction: transaction(wire),
    cursor: id,
    count: rows.length,
    ...(atEnd ? { error: oraError(1403) } : {}),
  });
}

async function prepare(wire: Wire, to: TtcWriter, names: ReturnType<typeof readPrepare>): Promise<void> {
  const started = await prepareLoad(wire.database, sessionOf(wire), names);
  const id = wire.nextCursor++;
  wire.loads.set(id, started);
  to.u8(8).ub(started.columns.length);
  for (const [i, column] of started.columns.entries()) columnInfo(to, column, i + 1);
  // No parameters; of the four values that come back the last is the cursor.
  to.ub(0, 4, 400, 400, 0, id);
  callEnd(to, { transaction: transaction(wire) });
}

function loadOf({ loads }: Wire, id: number): Load {
  const found = loads.get(id);
  if (found === undefined) throw oraError(1001);
  return found;
}

function load(wire: Wire, reader: TtcReader, to: TtcWriter, id: number): void {
  const into = loadOf(wire, id);
  reader.u8();
  const bytes = reader.ub();
  reader.ub();
  reader.u8();
  reader.ub();
  reader.skip(2);
  loadRows(sessionOf(wire), into, readStream(reader.take(bytes), into.columns));
  to.u8(8).ub(0);
  callEnd(to, { transaction: transaction(wire) });
}

function endLoad(wire: Wire, to: TtcWriter, id: number, finishes: boolean): void {
  const ending = loadOf(wire, id);
  wire.loads.delete(id);
  if (finishes) finishLoad(wire.database, sessionOf(wire), ending);
  else endTransaction(wire.database.sqlite, sessionOf(wire), false);
  to.u8(8).ub(0);
  callEnd(to, { transaction: transaction(wire) });
}
