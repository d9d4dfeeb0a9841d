import type { Database } from './database.ts';
import type { Load } from './directpath.ts';
import type { MessageKind } from './faults.ts';
import { createLobs } from './lobs.ts';
import type { logon } from './logon.ts';
import { oraError } from './oraerror.ts';
import type { TtcReader, TtcWriter } from './packets.ts';
import type { Cursor } from './query.ts';
import type { BindType } from './requests.ts';
import { inTransaction, type Session } from './transactions.ts';

/** A statement that the client may run again or fetch from. */
export interface OpenCursor {
  readonly sql: string;
  binds: readonly BindType[];
  rows: Cursor | null;
  /** As which types the rows are fetched, when the client has said so. */
  types: readonly number[] | null;
}

/** What the functions of a connection work on. */
export interface Wire {
  readonly database: Database;
  session: Session | null;
  user: string;
  logon: ReturnType<typeof logon> | null;
  readonly cursors: Map<number, OpenCursor>;
  readonly loads: Map<number, Load>;
  readonly lobs: ReturnType<typeof createLobs>;
  nextCursor: number;
}

export type Handler = (wire: Wire, reader: TtcReader, to: TtcWriter) => Promise<void> | void;

export interface Request {
  readonly what: MessageKind;
  readonly sql?: string;
  readonly run: Handler;
}

export function newWire(database: Database): Wire {
  return {
    ...{ database, session: null, user: '', logon: null, nextCursor: 1 },
    ...{ cursors: new Map(), loads: new Map(), lobs: createLobs() },
  };
}

export function transaction({ session }: Wire): boolean {
  return session !== null && inTransaction(session);
}

export function sessionOf({ session }: Wire): Session {
  if (session === null) throw oraError(1012);
  return session;
}
