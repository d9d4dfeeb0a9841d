import type { Socket } from 'node:net';
import { readRequest } from './calls.ts';
import { closeSession, type Database } from './database.ts';
import type { Fault, Faults, Message } from './faults.ts';
import { fromSqlite, isOraError, type OraError, oraError, wantedError } from './oraerror.ts';
import {
  dataPackets,
  packet,
  packetReader,
  packetType,
  type TtcReader,
  type TtcWriter,
  ttcReader,
  ttcWriter,
} from './packets.ts';
import { callEnd } from './replies.ts';
import { newWire, type Request, transaction } from './wire.ts';

// A connection: CONNECT, ACCEPT ─▶ protocol, data types ─▶ logon, password ─▶ requests, one at a time ─▶ its end, by
// logoff, by a loss, or by a fault; the session's open transaction is rolled back then.

export interface ConnectionOptions {
  readonly id: number;
  readonly socket: Socket;
  readonly database: Database;
  readonly faults: Faults;
  /** Gives the message its number and keeps it in the log. */
  readonly note: (message: Omit<Message, 'n'>) => Message;
  /** Takes what the double does not understand; the connection is cut then. */
  readonly complain: (error: unknown) => void;
}

export interface Connection {
  readonly id: number;
  /** As a server that dies does. */
  cut(): void;
}

export function serveConnection(options: ConnectionOptions): Connection {
  const { id, socket, database, faults, note, complain } = options;
  const wire = newWire(database);
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  let accepted = false;
  let awaitsConnectData = false;
  let parts: Buffer[] = [];
  let turn = Promise.resolve();
  /** Grows when the client breaks a call off: then nobody waits for its reply any more. */
  let generation = 0;
  let lingers = false;
  const leave = () => {
    if (wire.session !== null && !lingers) closeSession(database, wire.session);
  };
  // A client that dies is no news to a server.
  socket.on('error', () => {});
  socket.on('close', leave);
  const take = packetReader(
    (type, bytes) => {
      if (type === packetType.connect) connect(bytes);
      else if (type === packetType.marker) breakOff(bytes[10]!);
      else if (type === packetType.data) data(bytes.readUInt16BE(8), bytes.subarray(10));
    },
    () => accepted,
  );
  socket.on('data', (chunk) => take(chunk));

  function connect(bytes: Buffer): void {
    // Long connect data follow by themselves.
    awaitsConnectData = bytes.length <= 74 && bytes.readUInt16BE(24) > 0;
    if (!awaitsConnectData) queue(() => befall(connecting, nothing, accept));
  }

  function data(flags: number, payload: Buffer): void {
    if (awaitsConnectData) {
      awaitsConnectData = false;
      queue(() => befall(connecting, nothing, accept));
      return;
    }
    if ((flags & dataFlag.end) !== 0) socket.end();
    parts.push(payload);
    if ((flags & dataFlag.last) === 0) return;
    const reader = ttcReader(Buffer.concat(parts));
    parts = [];
    queue(() => befall(() => readRequest(wire, reader), reader, answer));
  }

  function queue(work: () => Promise<void>): void {
    const of = generation;
    turn = turn.then(async () => {
      if (of !== generation || socket.destroyed) return;
      await work().catch((error: unknown) => {
        socket.destroy();
        complain(error);
      });
    });
  }

  /** The client's timeout: interrupt (3), then reset (2), to which the server answers that the call was cancelled. */
  function breakOff(kind: number): void {
    generation += 1;
    wire.session?.interrupt?.(oraError(1013));
    const interrupt = kind === 3;
    socket.write(packet(packetType.marker, Buffer.from([1, 0, interrupt ? 1 : 2]), true));
    if (interrupt) return;
    parts = [];
    turn = Promise.resolve();
    answer(oraError(1013));
  }

  /** Runs a request, and whatever fault is there for it. */
  async function befall(read: () => Request, reader: TtcReader, reply: Reply): Promise<void> {
    const of = generation;
    const request = attempted(read);
    const { what, sql } = isOraError(request) ? { what: 'execute' as const } : request;
    const fault = faults.strike(note({ connection: id, what, ...(sql === undefined ? {} : { sql }) }));
    const when = fault?.when ?? 'before';
    const error = fault?.ora === undefined ? null : wantedError(fault.ora, fault.message);
    if (fault !== null && when === 'before' && !(await survives(fault))) return;
    const outcome =
      (when === 'before' ? error : null) ?? (isOraError(request) ? request : await outcomeOf(request, reader));
    if (when === 'amid') reply(outcome, true);
    if (fault !== null && when !== 'before' && !(await survives(fault))) return;
    if (of === generation && !socket.destroyed) reply((when === 'before' ? null : error) ?? outcome, false);
  }

  /** False: the connection is gone. */
  async function survives(fault: Fault): Promise<boolean> {
    if (fault.stall) await faults.stall(closed);
    if (fault.drop) {
      lingers = fault.lingers === true;
      cut();
    }
    return !socket.destroyed;
  }

  async function outcomeOf(request: Request, reader: TtcReader): Promise<TtcWriter | OraError> {
    const to = ttcWriter();
    try {
      await request.run(wire, reader, to);
      return to;
    } catch (error) {
      return onlyOraError(error);
    }
  }

  /** An error at connecting is a refusal by the listener. */
  function accept(outcome: TtcWriter | OraError): void {
    if (isOraError(outcome)) {
      const text = Buffer.from(`(DESCRIPTION=(ERR=${outcome.ora}))`);
      const body = Buffer.concat([Buffer.from([0, 0, 0, text.length]), text]);
      socket.end(packet(packetType.refuse, body, false));
      return;
    }
    socket.write(packet(packetType.accept, acceptBody(), false));
    accepted = true;
  }

  function answer(outcome: TtcWriter | OraError, half = false): void {
    let to = outcome;
    if (isOraError(to)) {
      to = ttcWriter();
      callEnd(to, { transaction: transaction(wire), error: outcome as OraError });
    }
    const message = to.done();
    const sent = half ? message.subarray(0, Math.ceil(message.length / 2)) : message;
    for (const bytes of dataPackets(sent)) socket.write(bytes);
  }

  function cut(): void {
    socket.destroy();
    leave();
  }

  return { id, cut };
}

const dataFlag = { end: 0x40, last: 0x800 } as const;
const nothing = ttcReader(Buffer.alloc(0));
const connecting = (): Request => ({ what: 'connect', run: () => {} });

type Reply = (outcome: TtcWriter | OraError, half: boolean) => void;

function attempted(read: () => Request): Request | OraError {
  try {
    return read();
  } catch (error) {
    return onlyOraError(error);
  }
}

/** Other errors are the double's own, and thrown. */
function onlyOraError(thrown: unknown): OraError {
  const error = fromSqlite(thrown);
  if (isOraError(error)) return error;
  throw error;
}

/** Version 318, no encryption or checksums by the protocol itself, neither fast login nor marks of a reply's end. */
function acceptBody(): Buffer {
  const body = Buffer.alloc(37);
  body.writeUInt16BE(318, 0);
  body.writeUInt16BE(1, 2);
  body.writeUInt16BE(8_192, 4);
  body.writeUInt16BE(65_535, 6);
  body.writeUInt16BE(1, 8);
  body.set([0x04, 0x08], 14);
  body.writeUInt32BE(8_192, 24);
  body.writeUInt32BE(65_535, 28);
  return body;
}
