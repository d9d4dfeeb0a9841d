import type { DatabaseSync } from 'node:sqlite';
import type { Caller } from './functions.ts';
import { oraError } from './oraerror.ts';
import { physical, type Table } from './tables.ts';

// A transaction begins with the first change or lock of a session and ends with commit or rollback. Its rows are marked
// with the session's number (tables.ts), so ending it is a matter of the marks. Who needs what another session holds
// throws `blocked`; `patiently` waits for the end of the other transaction and runs the step again, from its beginning.

export interface Session extends Caller {
  schema: string;
  zoneMinutes: number;
  /** With rows that bear this session's mark. */
  readonly touched: Set<Table>;
  /** By direct path insert in this transaction: not to be touched again in it. */
  readonly appended: Set<Table>;
  readonly locks: Map<Table, LockMode>;
  readonly whenEnded: Set<() => void>;
  waitsFor: Session | null;
  /** Ends a wait with an error. */
  interrupt: ((error: Error) => void) | null;
  gone: boolean;
}

export type LockMode = 'RS' | 'RX' | 'S' | 'SRX' | 'X';

const excludes: Readonly<Record<LockMode, readonly LockMode[]>> = {
  RS: ['X'],
  RX: ['S', 'SRX', 'X'],
  S: ['RX', 'SRX', 'X'],
  SRX: ['RX', 'S', 'SRX', 'X'],
  X: ['RS', 'RX', 'S', 'SRX', 'X'],
};
const strength: readonly LockMode[] = ['RS', 'RX', 'S', 'SRX', 'X'];

interface Blocked extends Error {
  readonly blockedBy: Session;
}

export function blocked(by: Session): Blocked {
  return Object.assign(new Error('blocked'), { blockedBy: by });
}

function isBlocked(error: unknown): error is Blocked {
  return error instanceof Error && (error as Partial<Blocked>).blockedBy !== undefined;
}

export function inTransaction(session: Session): boolean {
  return session.touched.size > 0 || session.locks.size > 0;
}

/** Takes a lock on a table until the transaction ends, or throws `blocked`. */
export function lockTable(
  sessions: ReadonlyMap<number, Session>,
  session: Session,
  table: Table,
  mode: LockMode,
): void {
  if (table.gone) throw oraError(942);
  for (const other of sessions.values()) {
    const theirs = other === session ? undefined : other.locks.get(table);
    if (theirs !== undefined && excludes[mode].includes(theirs)) throw blocked(other);
  }
  const own = session.locks.get(table);
  const both = own === 'S' && mode === 'RX' ? 'SRX' : own === 'RX' && mode === 'S' ? 'SRX' : mode;
  if (own === undefined || strength.indexOf(both) > strength.indexOf(own)) session.locks.set(table, both);
}

/**
 * Runs a step, again whenever a transaction that it was blocked by has ended.
 * @param patience seconds; null is for ever, 0 is ORA-00054 at once
 */
export async function patiently<T>(session: Session, patience: number | null, step: () => T): Promise<T> {
  const deadline = patience === null ? null : performance.now() + patience * 1_000;
  for (;;) {
    if (session.gone) throw oraError(1012);
    try {
      return step();
    } catch (error) {
      if (!isBlocked(error)) throw error;
      if (patience === 0) throw oraError(54);
      for (let at: Session | null = error.blockedBy; at !== null; at = at.waitsFor)
        if (at === session) throw oraError(60);
      await endOf(session, error.blockedBy, deadline);
    }
  }
}

function endOf(session: Session, other: Session, deadline: number | null): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const timer =
      deadline === null ? null : setTimeout(() => settle(() => reject(oraError(30006))), deadline - performance.now());
    const ended = () => settle(resolve);
    function settle(end: () => void): void {
      if (timer !== null) clearTimeout(timer);
      other.whenEnded.delete(ended);
      session.waitsFor = null;
      session.interrupt = null;
      end();
    }
    session.waitsFor = other;
    session.interrupt = (error) => settle(() => reject(error));
    other.whenEnded.add(ended);
  });
}

export function endTransaction(sqlite: DatabaseSync, session: Session, commit: boolean): void {
  const [goes, stays] = commit ? ['_dead', '_born'] : ['_born', '_dead'];
  const mine = (column: string) => `${column} <> 0 AND ${column} = ${session.id}`;
  for (const table of session.touched) {
    if (table.gone) continue;
    sqlite.exec(`DELETE FROM ${physical(table)} WHERE ${mine(goes)}`);
    sqlite.exec(`UPDATE ${physical(table)} SET ${stays} = 0 WHERE ${mine(stays)}`);
    sqlite.exec(`UPDATE ${physical(table)} SET _held = 0 WHERE ${mine('_held')}`);
  }
  session.touched.clear();
  session.appended.clear();
  session.locks.clear();
  for (const ended of [...session.whenEnded]) ended();
}
