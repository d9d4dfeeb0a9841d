/**
 * One connection that speaks the SignalR hub protocol (JSON), written here because the stock client re-serialises events,
 * reconnects without jitter and holds several timers.
 *
 * Its life: connecting (socket and handshake, at most `connectMs`) -> up -> down. Down is final and told exactly once;
 * whoever wants another connection opens another hub. While up, a ping goes out every `pingMs`, and a server that was
 * silent for `silenceMs`, or owes the answer to a call for `answerMs`, is given up. One timer entry does all of it.
 */
import { type Problem, problem } from '#queue/problem.ts';
import { handshakeRecord, invokeRecord, pingRecord, readHandshake, readRecord, splitRecords } from './hubrecords.ts';
import { refusalProblem } from './refusal.ts';
import type { Connect, SocketEnd } from './socket.ts';
import type { Timers } from './timers.ts';

export const hubTimes = {
  /** Long enough for a slow network; a socket whose gateway was killed before it answered is silent until then. */
  connectMs: 10_000,
  pingMs: 15_000,
  silenceMs: 30_000,
  answerMs: 30_000,
  /** How long `close` waits for the peer's half of the closing handshake. */
  closeMs: 1_000,
} as const;

/** @property error the server's words in its close record, or why this side gave up */
export interface HubEnd extends SocketEnd {
  readonly error: string | null;
}

export interface HubEvents {
  up(): void;
  invocation(target: string, args: readonly unknown[]): void;
  down(end: HubEnd): void;
}

export interface Hub {
  /** Sends records made by `sendRecord`, as one message. */
  send(records: string): void;
  /**
   * Calls and waits for the completion. Rejects with the server's refusal ({@link refusalProblem}) or, when the
   * connection goes down before the answer, with Problem `connection_lost`: then nobody knows whether it was done.
   */
  invoke(target: string, ...argumentTexts: string[]): Promise<unknown>;
  /** Ends it politely; `down` follows within `closeMs` or so. */
  close(): void;
  /** Ends it now, for a reason of our own; `down` follows soon. */
  drop(why: string): void;
}

export interface HubOptions {
  readonly url: string;
  readonly token: string;
  readonly connect: Connect;
  readonly timers: Timers;
  readonly events: HubEvents;
}

interface Call {
  readonly target: string;
  readonly since: number;
  resolve(result: unknown): void;
  reject(error: Problem): void;
}

export function openHub({ url, token, connect, timers, events }: HubOptions): Hub {
  const calls = new Map<string, Call>();
  let phase: 'connecting' | 'up' | 'ending' | 'down' = 'connecting';
  let error: string | null = null;
  let lastCall = 0;
  let heardAt = 0;
  let pingedAt = 0;
  let cancelTimer = timers.after(hubTimes.connectMs, () => drop('no connection in time'));

  const socket = connect(url, token, {
    opened: () => socket.send(handshakeRecord),
    text: receive,
    closed(end) {
      phase = 'down';
      cancelTimer();
      for (const call of calls.values()) call.reject(connectionLost(call.target));
      calls.clear();
      events.down({ ...end, error });
    },
  });

  function receive(message: string): void {
    if (phase === 'ending' || phase === 'down') return;
    heardAt = performance.now();
    const texts = splitRecords(message);
    if (texts === null) drop('a message of the server ends within a record');
    else if (phase === 'connecting') shakeHands(texts);
    else texts.forEach(receiveRecord);
  }

  function shakeHands([answer, ...records]: string[]): void {
    if (answer === undefined) return;
    const refusal = readHandshake(answer);
    if (refusal !== null) {
      drop(`handshake refused: ${refusal}`);
      return;
    }
    phase = 'up';
    pingedAt = heardAt;
    cancelTimer();
    cancelTimer = timers.after(hubTimes.pingMs, keepAlive);
    events.up();
    records.forEach(receiveRecord);
  }

  function receiveRecord(text: string): void {
    // A handler may have ended this connection while earlier records of the same message were read.
    if (phase !== 'up') return;
    const record = readRecord(text);
    if (record === null) drop('the server sent a record that cannot be read');
    else if (record.kind === 'invocation') events.invocation(record.target, record.args);
    else if (record.kind === 'completion') complete(record.id, record.error, record.result);
    else if (record.kind === 'close') {
      error = record.error;
      // The server closes next, and its close code says more than ours would; the timer is for one that does not.
      cancelTimer();
      cancelTimer = timers.after(hubTimes.closeMs, () => socket.drop());
    }
  }

  function complete(id: string, refusal: string | null, result: unknown): void {
    const call = calls.get(id);
    if (call === undefined) return;
    calls.delete(id);
    if (refusal === null) call.resolve(result);
    else call.reject(refusalProblem(refusal));
  }

  function keepAlive(): void {
    const now = performance.now();
    const [oldest] = calls.values();
    if (now - heardAt >= hubTimes.silenceMs) drop('the server is silent');
    else if (oldest && now - oldest.since >= hubTimes.answerMs) drop(`no answer to ${oldest.target}`);
    else {
      if (now - pingedAt >= hubTimes.pingMs) {
        pingedAt = now;
        socket.send(pingRecord);
      }
      const next = Math.min(pingedAt + hubTimes.pingMs, heardAt + hubTimes.silenceMs);
      cancelTimer = timers.after(next - now, keepAlive);
    }
  }

  function drop(why: string): void {
    if (phase === 'down') return;
    error ??= why;
    phase = 'ending';
    cancelTimer();
    socket.drop();
  }

  return {
    send: (records) => socket.send(records),
    invoke(target, ...argumentTexts) {
      if (phase !== 'up') return Promise.reject(connectionLost(target));
      const id = String(++lastCall);
      return new Promise((resolve, reject) => {
        calls.set(id, { target, since: performance.now(), resolve, reject });
        socket.send(invokeRecord(id, target, ...argumentTexts));
      });
    },
    close() {
      if (phase === 'down' || phase === 'ending') return;
      phase = 'ending';
      cancelTimer();
      cancelTimer = timers.after(hubTimes.closeMs, () => socket.drop());
      socket.close();
    },
    drop,
  };
}

function connectionLost(target: string): Problem {
  return problem(
    'connection_lost',
    `the connection broke before ${target} was answered`,
    'The client connects again by itself; nothing needs to be done.',
  );
}
