import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { charge } from '#queue/bucket.ts';
import { type Connection, openConnection, pause, pauses, resume, send, tend } from './connection.ts';
import type { Hub } from './hub.ts';
import { createSeat, detachSeat, type Seat, settleSeat } from './seat.ts';
import type { ShardLink } from './shardlink.ts';
import type { Student, Students } from './students.ts';
import type { Bearer } from './token.ts';

/** Everybody who is connected to this process. */
export interface Lobby {
  /** Takes in an upgraded socket. */
  welcome(ws: WebSocket, socket: Duplex, bearer: Bearer, link: ShardLink): void;
  /** Stops, or goes on, reading the students of a shard. */
  press(link: ShardLink, isPressed: boolean): void;
  /** To be called each second. */
  tick(now: number): void;
  /** Sends the same records to everybody. */
  tellAll(text: string): void;
  seats(): IterableIterator<Seat>;
  connections(): number;
}

export interface LobbyParts {
  readonly hub: Hub;
  readonly students: Students;
  /** A connection ended, with this close code, after so many ms. */
  closed(connection: Connection, code: number, lastedMs: number): void;
}

export function createLobby({ hub, students, closed }: LobbyParts): Lobby {
  const seats = new Map<Connection, Seat>();

  return {
    welcome(ws, socket, bearer, link) {
      const student = students.of(bearer.student);
      const identity = { id: randomBytes(9).toString('base64url'), student: student.id, expiresAt: bearer.expiresAt };
      const connection: Connection = openConnection(ws, socket, identity, {
        message: (_, bytes, now) => weigh(connection, student, bytes, now),
        frame: (_, frame, now) => hub.receive(seat, frame, now),
        settled: () => settleSeat(seat),
        closed(_, code) {
          detachSeat(seat, 'unavailable');
          seats.delete(connection);
          link.seats.delete(seat);
          students.leave(student, connection);
          closed(connection, code, Date.now() - connection.openedAt);
        },
      });
      const seat = createSeat(connection, student, link);
      seats.set(connection, seat);
      link.seats.add(seat);
      students.join(student, connection);
      if (link.isPressed) pause(connection, pauses.pressure);
    },

    press(link, isPressed) {
      link.isPressed = isPressed;
      for (const { connection } of link.seats) {
        if (isPressed) pause(connection, pauses.pressure);
        else resume(connection, pauses.pressure);
      }
    },

    tick(now) {
      for (const connection of seats.keys()) tend(connection, now);
    },

    tellAll(text) {
      for (const connection of seats.keys()) if (connection.phase === 'ready') send(connection, text);
    },

    seats: () => seats.values(),
    connections: () => seats.size,
  };
}

/** Charges a message to its student; who is in debt is read again when the debt is paid. */
function weigh(connection: Connection, student: Student, bytes: number, now: number): void {
  const waitMs = charge(student.messages, 1 + bytes / 1_024, now);
  if (waitMs === 0 || (connection.paused & pauses.rate) !== 0) return;
  pause(connection, pauses.rate);
  setTimeout(resume, waitMs, connection, pauses.rate).unref();
}
