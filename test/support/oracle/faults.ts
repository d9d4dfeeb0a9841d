/** What reaches the server, as faults and the log see it. */
export interface Message {
  /** Counts from 1 over all connections of a server. */
  readonly n: number;
  /** Of the connection. */
  readonly connection: number;
  readonly what: MessageKind;
  /** The statement; of a direct path load the table's name. */
  readonly sql?: string;
}

export type MessageKind =
  | 'connect'
  | 'protocol'
  | 'datatypes'
  | 'logon'
  | 'password'
  | 'ping'
  | 'execute'
  | 'fetch'
  | 'lob'
  | 'commit'
  | 'rollback'
  | 'logoff'
  | 'prepare'
  | 'load'
  | 'finish'
  | 'abort';

export interface Fault {
  /** This message, counted from now (1 is the next), or the first for which `match` holds, or any. */
  readonly n?: number;
  readonly match?: (message: Message) => boolean;
  /** Its effect; 'amid' is after it, when half of the reply is sent. 'before' when left out. */
  readonly when?: 'before' | 'after' | 'amid';
  /** One of these three: an error instead of the reply; the connection is cut; nothing comes until `release`. */
  readonly ora?: number;
  readonly drop?: boolean;
  readonly stall?: boolean;
  /** Of the error, behind its code; Oracle's own text when left out. */
  readonly message?: string;
  /** With `drop`: the server does not notice, and the session keeps its transaction and its locks until it is killed. */
  readonly lingers?: boolean;
  /** How many messages it befalls; 1 when left out. */
  readonly times?: number;
}

export type Faults = ReturnType<typeof createFaults>;

export function createFaults() {
  let seen = 0;
  const armed: { fault: Fault; from: number; left: number }[] = [];
  const stalled = new Set<() => void>();
  return {
    /** Returns a function that tells how often it has struck. */
    add(fault: Fault): () => number {
      const one = { fault, from: seen, left: fault.times ?? 1 };
      armed.push(one);
      return () => (fault.times ?? 1) - one.left;
    },
    clear(): void {
      armed.length = 0;
    },
    /** Lets go of what is stalled. */
    release(): void {
      for (const go of [...stalled]) go();
    },
    /** The fault that befalls a message, if any. */
    strike(message: Message): Fault | null {
      seen = message.n;
      const one = armed.find(({ fault, from, left }) => {
        if (left === 0 || (fault.n !== undefined && message.n !== from + fault.n)) return false;
        return fault.match === undefined || fault.match(message);
      });
      if (one === undefined) return null;
      one.left -= 1;
      return one.fault;
    },
    /** Resolves at `release` or when `gone` does. */
    stall(gone: Promise<void>): Promise<void> {
      return new Promise((resolve) => {
        const go = () => {
          stalled.delete(go);
          resolve();
        };
        stalled.add(go);
        void gone.then(go);
      });
    },
  };
}
