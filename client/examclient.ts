/** What an application sees of a client: options, callbacks, state, functions. Made by `createExamClient` of `client.ts`. */
import type { Problem } from '#queue/problem.ts';
import type { Opened, Receipt } from './answers.ts';
import type { Sha256 } from './chain.ts';
import type { TokenSource } from './link.ts';
import type { Outbox } from './outbox.ts';
import type { Connect } from './socket.ts';
import type { Timers } from './timers.ts';

export type ClientPhase = 'idle' | 'connecting' | 'open' | 'waiting' | 'stopped' | 'alarm' | 'verified' | 'closed';

/** What an application shows of a client. */
export interface ClientState {
  readonly phase: ClientPhase;
  /** The outbox's writer id; null until the outbox is open. */
  readonly writer: string | null;
  /** Events that the outbox holds. */
  readonly stored: number;
  /** Events that the server has safely; `stored - durable` are still only here. */
  readonly durable: number;
  /** When time is over, by the server's clock (compare with `serverNow()`); null for no limit, or not known yet. */
  readonly deadline: number | null;
  /** Why it is not open, or why the server takes nothing more. */
  readonly problem: Problem | null;
  /** The answer to finish(). */
  readonly receipt: Receipt | null;
  /** The session's root, once the export is verified. */
  readonly verified: string | null;
}

/** All are optional. An error thrown by one surfaces as uncaught and disturbs nothing. */
export interface ClientCallbacks {
  /** Everything up to `seq` is durable. Goes back and up again only after `server_lost_data` or `refilling`. */
  onDurable?(seq: number): void;
  /** The phase or the problem changed. */
  onState?(state: ClientState): void;
  /** Something a person should know of: `server_lost_data`, `forked`, `other_session`, `unsent_at_verified`, ... */
  onAlarm?(what: Problem): void;
  /** Worth a line in a log: `refilling`. */
  onNotice?(what: Problem): void;
  /** Another deadline, in ms since 1970 by the server's clock. */
  onDeadline?(ms: number | null): void;
  /** The server will close this connection; `reason` tells a restart (nothing to do) from the end of the session. */
  onClosing?(reason: string, seconds: number): void;
  onAnnouncement?(text: string): void;
  /** The session is over and proved. The root is passed on as told; compare it with the published one. */
  onVerified?(root: string): void;
}

export interface ExamClientOptions extends ClientCallbacks {
  /** Address of the hub, `https://HOST/exam` (or http, ws, wss). */
  readonly url: string;
  readonly token: TokenSource;
  readonly outbox: Outbox;
  /** Default: the platform's WebSocket. `nodesocket.ts` has one for Node. */
  readonly connect?: Connect;
  /** Default: WebCrypto. `nodesha.ts` has a faster one for Node. */
  readonly sha256?: Sha256;
  /** Events sent and not yet durable, at most. Default 64. */
  readonly inFlight?: number;
  /** open() connects at a random moment within this time, so that a class does not arrive at once. Default 1,000 ms. */
  readonly startSpreadMs?: number;
  /** Uniform in [0, 1). Default Math.random. */
  readonly random?: () => number;
  /** Default: shared by all clients of the process. */
  readonly timers?: Timers;
}

export interface ExamClient {
  readonly state: ClientState;
  /** Opens the outbox and connects; resolves when in step with the server for the first time, however long it takes. */
  open(): Promise<Opened>;
  /**
   * Takes an event; works offline too. Resolves with its seq once the outbox holds it. The event is read before this
   * returns. Rejects, numbering nothing, what is not admissible ({@link eventText}).
   */
  submit(event: unknown): Promise<number>;
  /** Resolves when event `seq` is durable; rejects when it is refused (`late`, `sealed`, ...) or the client gives up. */
  settled(seq: number): Promise<void>;
  /**
   * Waits until all events are durable, then finishes the exam. May be called again, also after a reconnect or by
   * another client on the same outbox: the answer is the same. No submit() after it, unless it rejected.
   */
  finish(): Promise<Receipt>;
  /** The exact JSON text of event `seq`, whose UTF-8 bytes are its payload. Problem `no_such_event` when there is none. */
  eventText(seq: number): string;
  /** The server's clock, in ms since 1970. */
  serverNow(): number;
  /** Ends the connection and gives the outbox back: no timer, no socket stays. Nothing is forgotten. */
  close(): Promise<void>;
}
