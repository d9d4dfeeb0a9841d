/** What several producers hand to one consumer. Bounded: a producer waits while `most` items do. */
export interface LineQueue<T> {
  put(item: T): Promise<void>;
  /** Rejects with it for the consumer, once what came before is taken. */
  fail(error: unknown): void;
  /** The items as they come, until the end. To be taken by one consumer. */
  items(): AsyncGenerator<T, void, undefined>;
  /** Nothing more comes in or out, and nobody waits any longer. */
  end(): void;
}

export function createLineQueue<T>(most: number): LineQueue<T> {
  const waiting: T[] = [];
  const putters: (() => void)[] = [];
  let failure: { readonly error: unknown } | null = null;
  let ended = false;
  let wake = () => {};
  const release = () => {
    for (const go of putters.splice(0)) go();
  };
  return {
    async put(item) {
      while (waiting.length >= most && !ended) await new Promise<void>((resolve) => putters.push(resolve));
      if (ended) return;
      waiting.push(item);
      wake();
    },
    fail(error) {
      failure ??= { error };
      wake();
    },
    async *items() {
      for (;;) {
        while (waiting.length > 0 && !ended) {
          yield waiting.shift() as T;
          if (waiting.length < most) release();
        }
        if (ended) return;
        if (failure !== null) throw failure.error;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    end() {
      ended = true;
      release();
      wake();
    },
  };
}
