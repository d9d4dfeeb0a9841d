import { type Bucket, createBucket, isFull, tryTake } from '#queue/bucket.ts';
import type { GatewayLimits } from './config.ts';
import { type Connection, closeCodes, closeConnection } from './connection.ts';

/** What this process knows of one student: the connections, and what may still be asked. */
export interface Student {
  readonly id: string;
  /** Oldest first. */
  readonly connections: Set<Connection>;
  readonly messages: Bucket;
  readonly connects: Bucket;
  readonly lookups: Bucket;
  /** Requests to `/exam/events` that are under way. */
  posts: number;
  /** Whether an alarm was raised on this student's word: a word can be wrong, so one is enough. */
  hasAlarmed: boolean;
}

export interface Students {
  /** The student's entry, made when there is none. */
  of(id: string): Student;
  /** Takes one of the student's connects, or refuses. */
  mayConnect(student: Student): boolean;
  /** Adds a connection; beyond the limit the oldest is closed, which mostly is one that died without a word. */
  join(student: Student, connection: Connection): void;
  leave(student: Student, connection: Connection): void;
  /** Forgets students without connections and debts. To be called each second. */
  sweep(now: number): void;
  /** Students with a connection. */
  connected(): number;
}

/** Comparisons with the log that a student may cause, a second and at once. */
const lookupsPerSecond = 2;
const lookupBurst = 50;

/** Entries looked at by one sweep: bounds its time with any number of students. */
const sweepEntries = 5_000;

/** The students of this process. Limits are per student, since a whole school may share one address. */
export function createStudents(limits: GatewayLimits): Students {
  const students = new Map<string, Student>();
  let connected = 0;
  let sweeping: MapIterator<Student> | null = null;

  return {
    of(id) {
      let student = students.get(id);
      if (!student) {
        const now = Date.now();
        student = {
          id,
          connections: new Set(),
          messages: createBucket(limits.studentMessagesPerSecond, limits.studentMessageBurst, now),
          connects: createBucket(limits.studentConnectsPerSecond, limits.studentConnectBurst, now),
          lookups: createBucket(lookupsPerSecond, lookupBurst, now),
          posts: 0,
          hasAlarmed: false,
        };
        students.set(id, student);
      }
      return student;
    },

    mayConnect: (student) => tryTake(student.connects, Date.now()),

    join(student, connection) {
      if (student.connections.size === 0) connected++;
      student.connections.add(connection);
      const open = [...student.connections].filter((other) => other.phase === 'ready' || other.phase === 'handshake');
      for (const oldest of open.slice(0, Math.max(0, open.length - limits.studentConnections))) {
        closeConnection(oldest, closeCodes.policy, 'too_many_connections');
      }
    },

    leave(student, connection) {
      if (student.connections.delete(connection) && student.connections.size === 0) connected--;
    },

    sweep(now) {
      sweeping ??= students.values();
      for (let count = 0; count < sweepEntries; count++) {
        const { value: student, done } = sweeping.next();
        if (done) {
          sweeping = null;
          return;
        }
        const isIdle = student.connections.size === 0 && student.posts === 0 && isFull(student.connects, now);
        if (isIdle && isFull(student.messages, now) && isFull(student.lookups, now)) students.delete(student.id);
      }
    },

    connected: () => connected,
  };
}
