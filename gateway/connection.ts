import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { decodeFrame, type Frame, recordSeparator } from './frame.ts';
import { readHandshake } from './handshake.ts';
import * as records from './records.ts';
import { textFrame } from './textframe.ts';

/*
 * One WebSocket of one student, below the hub.
 *
 * handshake: the first record must be the SignalR handshake, within 10 seconds.
 * ready:     records go to the hub, in order. Pings keep both sides alive; 30 seconds of silence end it.
 * closing:   a close frame was sent; what still arrives is dropped. The library gives up after 5 seconds.
 * closed:    gone; the hub was told.
 *
 * Reading is paused while there is any reason to (see `pauses`): then TCP slows the student down, and nothing is lost.
 */

export type ConnectionPhase = 'handshake' | 'ready' | 'closing' | 'closed';

/** Reasons to stop reading a socket, as bits. */
export const pauses = {
  /** The shard holds more than it should: its Redis is slow or away. */
  pressure: 1,
  /** The student sent more than its share. */
  rate: 2,
  /** More invocations wait for an answer than a client should have open. */
  window: 4,
  /** The connection is about to be closed by a drain. */
  drain: 8,
} as const;

/** Close codes of the wire (docs/wire-protocol.md). */
export const closeCodes = { normal: 1000, away: 1001, policy: 1008, restart: 1012, tryLater: 1013 } as const;

export interface ConnectionEvents {
  /** Before a message: what it weighs. */
  message(connection: Connection, bytes: number, now: number): void;
  frame(connection: Connection, frame: Frame, now: number): void;
  /** After all records of a message. */
  settled(connection: Connection): void;
  closed(connection: Connection, code: number): void;
}

export interface Connection {
  readonly id: string;
  readonly student: string;
  /** When the token ends, ms since 1970. */
  readonly expiresAt: number;
  readonly openedAt: number;
  readonly ws: WebSocket;
  readonly socket: Duplex;
  readonly events: ConnectionEvents;
  /** ms without a write after which a ping is due; spread, so that not all are due at once. */
  readonly pingEvery: number;
  phase: ConnectionPhase;
  /** When something came, and went. */
  lastSeen: number;
  lastSent: number;
  paused: number;
  /** Answers to the message that is being read: they go out together. Null while none is. */
  gathered: string | null;
}

const handshakeMs = 10_000;
const silenceMs = 30_000;
const pingMs = 15_000;

/** Bytes that may wait for a slow reader. An event's answer has about 50. */
const maxUnsentBytes = 262_144;

/** Takes over an upgraded socket. */
export function openConnection(
  ws: WebSocket,
  socket: Duplex,
  identity: { readonly id: string; readonly student: string; readonly expiresAt: number },
  events: ConnectionEvents,
): Connection {
  const now = Date.now();
  const connection: Connection = {
    id: identity.id,
    student: identity.student,
    expiresAt: identity.expiresAt,
    openedAt: now,
    ws,
    socket,
    events,
    pingEvery: pingMs - 1_500 - Math.random() * 2_500,
    phase: 'handshake',
    lastSeen: now,
    lastSent: now,
    paused: 0,
    gathered: null,
  };
  ws.on('message', (message: Buffer, isBinary: boolean) => receive(connection, message, isBinary));
  // Control frames cost as much as small messages.
  ws.on('ping', (payload: Buffer) => count(connection, payload.length));
  ws.on('pong', (payload: Buffer) => count(connection, payload.length));
  // Broken frames, wrong UTF-8 and too much data: the library has sent the close frame already.
  ws.on('error', () => {
    if (connection.phase !== 'closed') connection.phase = 'closing';
  });
  ws.on('close', (code: number) => {
    connection.phase = 'closed';
    events.closed(connection, code);
  });
  return connection;
}

function count(connection: Connection, bytes: number): number {
  const now = Date.now();
  connection.lastSeen = now;
  connection.events.message(connection, bytes, now);
  return now;
}

/** Reads one WebSocket message: whole records only, since a client never splits one. */
function receive(connection: Connection, message: Buffer, isBinary: boolean): void {
  if (connection.phase === 'closing' || connection.phase === 'closed') return;
  const now = count(connection, message.length);
  connection.gathered = '';
  if (isBinary) closeConnection(connection, closeCodes.policy, 'only text messages are understood');
  else receiveRecords(connection, message, now);
  if (connection.phase === 'ready') connection.events.settled(connection);
  release(connection);
}

function receiveRecords(connection: Connection, message: Buffer, now: number): void {
  let at = connection.phase === 'handshake' ? shakeHands(connection, message) : 0;
  while (at < message.length && connection.phase === 'ready') {
    const end = message.indexOf(recordSeparator, at);
    if (end < 0) {
      closeConnection(connection, closeCodes.policy, 'a message ends within a record');
      break;
    }
    receiveRecord(connection, decodeFrame(message, at, end), now);
    at = end + 1;
  }
}

function receiveRecord(connection: Connection, frame: Frame, now: number): void {
  if (frame.kind === 'submit' || frame.kind === 'call' || frame.kind === 'unfit' || frame.kind === 'stream') {
    connection.events.frame(connection, frame, now);
  } else if (frame.kind === 'malformed') {
    closeConnection(connection, closeCodes.policy, `malformed record: ${frame.reason}`);
  } else if (frame.kind === 'close') {
    finish(connection, closeCodes.normal, '');
  }
}

/** Where the next record begins; the phase tells whether the handshake was good. */
function shakeHands(connection: Connection, message: Buffer): number {
  const handshake = readHandshake(message);
  if ('error' in handshake) {
    send(connection, records.handshakeFailed(handshake.error));
    finish(connection, closeCodes.policy, 'handshake refused');
    return 0;
  }
  connection.phase = 'ready';
  send(connection, records.handshakeDone);
  return handshake.next;
}

/** Sends records. Those that answer one message go out as one. */
export function send(connection: Connection, text: string): void {
  if (connection.gathered === null) write(connection, text);
  else connection.gathered += text;
}

function release(connection: Connection): void {
  const text = connection.gathered;
  connection.gathered = null;
  if (text) write(connection, text);
}

/** A client that does not read is cut off, not collected for. */
function write(connection: Connection, text: string): void {
  const { socket } = connection;
  if (connection.phase === 'closed' || !socket.writable) return;
  connection.lastSent = Date.now();
  socket.write(textFrame(text), 'latin1');
  if (socket.writableLength > maxUnsentBytes && connection.phase !== 'closing') {
    finish(connection, closeCodes.tryLater, 'too slow a reader');
  }
}

/**
 * Closes, saying why: in a SignalR close record, which stock clients report to their user, and in the close frame.
 * Without `allowReconnect` a stock client stays away: for what would only happen again.
 */
export function closeConnection(connection: Connection, code: number, reason: string, allowReconnect = false): void {
  if (connection.phase === 'closing' || connection.phase === 'closed') return;
  if (connection.phase === 'ready' && code === closeCodes.policy)
    send(connection, records.closing(reason, allowReconnect));
  finish(connection, code, reason);
}

function finish(connection: Connection, code: number, reason: string): void {
  release(connection);
  connection.phase = 'closing';
  // The client's own close frame must be read.
  connection.paused = 0;
  connection.ws.resume();
  connection.ws.close(code, reason.slice(0, 120));
}

/** Stops reading until every reason is gone. */
export function pause(connection: Connection, reason: number): void {
  if (connection.phase === 'closing' || connection.phase === 'closed') return;
  if (connection.paused === 0) connection.ws.pause();
  connection.paused |= reason;
}

/** Takes one reason away. The silence that it caused is not held against the client. */
export function resume(connection: Connection, reason: number): void {
  if ((connection.paused & reason) === 0) return;
  connection.paused &= ~reason;
  if (connection.paused !== 0) return;
  connection.lastSeen = Date.now();
  connection.ws.resume();
}

/** To be called each second: pings, and ends what is silent, slow to shake hands, or past the end of its token. */
export function tend(connection: Connection, now: number): void {
  if (connection.phase === 'handshake') {
    if (connection.paused === 0 && now - connection.openedAt > handshakeMs)
      finish(connection, closeCodes.policy, 'no handshake in time');
  } else if (connection.phase === 'ready') {
    if (now > connection.expiresAt) closeConnection(connection, closeCodes.policy, 'token_expired', true);
    else if (isSilent(connection, now)) closeConnection(connection, closeCodes.away, 'silent for too long');
    else if (now - connection.lastSent >= connection.pingEvery) send(connection, records.ping);
  }
}

/** Whom we do not read, we cannot hear. */
function isSilent({ paused, lastSeen }: Connection, now: number): boolean {
  return paused === 0 && now - lastSeen > silenceMs;
}
