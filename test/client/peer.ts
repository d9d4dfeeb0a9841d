import type { Connect, SocketEvents } from '#client/socket.ts';
import { nextChain, originChain } from '#queue/chain.ts';

/**
 * A gateway's half of the protocol in a few lines, for what a real one does not do on demand: lose data, lose replies,
 * refuse, fall silent. It has no Redis and no tokens (the token is the student's id); a test says when what it took
 * becomes durable. Everything that real gateways do on demand is tested against real ones (gateway.test.ts).
 */
export interface Peer {
  readonly uid: string;
  incarnation: string;
  /** Takes events into `durable` as they come and says so; else `flush()` does. */
  autoFlush: boolean;
  /** Answers nothing, pings neither. */
  isSilent: boolean;
  /** Ends every new connection with this code before the upgrade, or null. */
  refuseWith: { code: number; status?: number } | null;
  /** Texts by writer, in order. */
  readonly durable: Map<string, string[]>;
  /** Every Submit that arrived, over all connections. */
  readonly submits: { writer: string; seq: number; text: string }[];
  /** Arguments of every Open. */
  readonly opens: unknown[][];
  readonly connections: Set<PeerConnection>;
  flush(): void;
  /** Forgets what it has not made durable, and every durable text of all writers after the first `keep`. */
  lose(keep: number): void;
  tell(target: string, ...args: unknown[]): void;
  /** Ends all connections. */
  cut(code: number): void;
  accept(student: string, wire: PeerWire): PeerConnection;
}

export interface PeerWire {
  send(text: string): void;
  close(code: number): void;
}

export interface PeerConnection {
  readonly wire: PeerWire;
  receive(message: string): void;
  gone(): void;
  flush(): void;
  forget(): void;
}

const separator = '\u001e';

export function createPeer(uid = 'f2d8a0c4-0000-4000-8000-000000000001'): Peer {
  const peer: Peer = {
    uid,
    incarnation: 'first',
    autoFlush: true,
    isSilent: false,
    refuseWith: null,
    durable: new Map(),
    submits: [],
    opens: [],
    connections: new Set(),
    flush() {
      for (const connection of peer.connections) connection.flush();
    },
    lose(keep) {
      for (const connection of peer.connections) connection.forget();
      for (const texts of peer.durable.values()) texts.length = Math.min(texts.length, keep);
    },
    tell(target, ...args) {
      for (const { wire } of peer.connections)
        wire.send(JSON.stringify({ type: 1, target, arguments: args }) + separator);
    },
    cut(code) {
      for (const { wire } of [...peer.connections]) wire.close(code);
    },
    accept: (student, wire) => accept(peer, student, wire),
  };
  return peer;
}

function accept(peer: Peer, student: string, wire: PeerWire): PeerConnection {
  let writer: string | null = null;
  let shaken = false;
  let pending: string[] = [];

  const say = (record: object) => {
    if (!peer.isSilent) wire.send(JSON.stringify(record) + separator);
  };
  const call = (target: string, ...args: unknown[]) => say({ type: 1, target, arguments: args });
  const stored = () => peer.durable.get(writer!)!;

  function submit(seq: number, text: string): void {
    peer.submits.push({ writer: writer!, seq, text });
    const known = [...stored(), ...pending];
    if (seq > known.length + 1) call('Resend', known.length + 1);
    else if (seq <= known.length && known[seq - 1] !== text) call('Refused', 'forked', stored().length);
    else {
      if (seq > known.length) pending.push(text);
      else if (seq <= stored().length) call('Durable', stored().length);
      if (peer.autoFlush) flush();
    }
  }

  function flush(): void {
    if (pending.length === 0) return;
    stored().push(...pending);
    pending = [];
    call('Durable', stored().length);
  }

  function invoked(id: string, target: string, args: unknown[]): void {
    if (target === 'Open') {
      writer = args[0] as string;
      peer.opens.push(args);
      if (!peer.durable.has(writer)) peer.durable.set(writer, []);
      const { uid, incarnation } = peer;
      const state = { durableSeq: stored().length, chain: chainOf(peer, student, writer), incarnation };
      const rest = { session: uid, student, serverTime: Date.now(), deadline: null, phase: 'Active', finished: null };
      say({ type: 3, invocationId: id, result: { ...state, ...rest } });
    } else if (target === 'Finish') {
      const lastSeq = args[0] as number;
      const answer = {
        lastSeq,
        chain: chainOf(peer, student, writer!),
        time: Date.now(),
        receipt: { signature: 'none' },
      };
      if (lastSeq === stored().length) say({ type: 3, invocationId: id, result: answer });
      else say({ type: 3, invocationId: id, error: `gap:${stored().length + 1}` });
    }
  }

  function receive(message: string): void {
    for (const text of message.split(separator).slice(0, -1)) {
      const record = JSON.parse(text);
      if (!shaken) {
        shaken = true;
        say({});
      } else if (record.type === 1 && record.target === 'Submit') submit(record.arguments[0], eventTextOf(text));
      else if (record.type === 1) invoked(record.invocationId, record.target, record.arguments);
    }
  }

  const connection: PeerConnection = {
    wire,
    receive,
    gone: () => peer.connections.delete(connection),
    flush,
    forget() {
      pending = [];
    },
  };
  peer.connections.add(connection);
  return connection;
}

/** The event as it stood in the record of this project's client, not parsed and written again. */
function eventTextOf(record: string): string {
  const match = /^\{"type":1,"target":"Submit","arguments":\[\d+,(.*)\]\}$/s.exec(record);
  if (!match) throw new Error(`not a Submit of this client: ${record}`);
  return match[1]!;
}

/** The chain of what is durable, by the queue's own code. */
export function chainOf(peer: Peer, student: string, writer: string): string {
  const texts = peer.durable.get(writer) ?? [];
  return texts.reduce((chain, text) => nextChain(chain, Buffer.from(text)), originChain(peer.uid, student, writer));
}

/** Connects within this process: messages and ends arrive in later turns of the loop, in order, like over a socket. */
export function peerConnect(peer: Peer): Connect {
  return (_url, token, events) => {
    const toClient = queueOf();
    const toPeer = queueOf();
    let isOver = false;
    const end = (code: number, status?: number) => {
      if (isOver) return;
      isOver = true;
      connection?.gone();
      toClient(() => events.closed({ code, reason: '', ...(status === undefined ? {} : { status }) }));
    };
    const connection = peer.refuseWith === null ? acceptFrom(peer, token, events, toClient, () => isOver, end) : null;
    if (peer.refuseWith !== null) end(peer.refuseWith.code, peer.refuseWith.status);
    else toClient(() => events.opened());
    return {
      send: (text) => toPeer(() => (isOver ? undefined : connection?.receive(text))),
      close: () => toPeer(() => end(1000)),
      drop: () => end(1006),
    };
  };
}

function acceptFrom(
  peer: Peer,
  student: string,
  events: SocketEvents,
  toClient: (task: () => void) => void,
  isOver: () => boolean,
  end: (code: number) => void,
): PeerConnection {
  return peer.accept(student, {
    send: (text) => toClient(() => (isOver() ? undefined : events.text(text))),
    close: (code) => toClient(() => end(code)),
  });
}

/** Runs tasks one by one, each in a turn of its own. */
function queueOf(): (task: () => void) => void {
  return (task) => void setImmediate(task);
}
