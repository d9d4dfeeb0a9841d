/**
 * The port to WebSockets. Implementations: `websocket.ts` (global WebSocket: browsers, Node, Deno), `nodesocket.ts` (the
 * `ws` library: bearer header, TLS options, HTTP status of a refused upgrade).
 */

/** How a connection, or the attempt to make one, ended. */
export interface SocketEnd {
  /** WebSocket close code; 1006 when there was none. */
  readonly code: number;
  readonly reason: string;
  /** HTTP status of a refused upgrade, where the platform tells it (browsers do not). */
  readonly status?: number;
  /** The server's Retry-After, in ms. */
  readonly retryAfterMs?: number;
}

/** None is called before `connect` returned; `closed` is called exactly once, and nothing after it. */
export interface SocketEvents {
  opened(): void;
  text(data: string): void;
  closed(end: SocketEnd): void;
}

export interface Socket {
  /** Sends one text message. Without effect once the connection is going down. */
  send(text: string): void;
  /** Starts the closing handshake (1000). `closed` follows, at the latest when the peer or `drop` ends it. */
  close(): void;
  /** Ends it now, without waiting for the peer, also while connecting. `closed` follows soon. */
  drop(): void;
}

/**
 * Starts a connection.
 * @param url `ws://` or `wss://`, without the token
 * @param token the student's JWT; how it travels is the implementation's choice
 */
export type Connect = (url: string, token: string, events: SocketEvents) => Socket;
