import { type AppendBatch, rawBatch } from '#queue/append.ts';
import { formatState, nextChain, originChain, type State } from '#queue/chain.ts';
import { packEvents, type QueueEvent } from '#queue/codec.ts';

/** A writer that makes events, without a lane: what a test says to the scripts by hand. */
export interface TestWriter {
  readonly student: string;
  readonly writer: string;
  /** After the last event made. */
  readonly state: State;
  /** Makes the next event. */
  next(payload?: string): QueueEvent;
  /** Goes back, as a copied outbox would: what comes next is a fork. */
  rewind(state: State): void;
}

export function testWriter(uid: string, student: string, writer: string): TestWriter {
  let state: State = { seq: 0, chain: originChain(uid, student, writer) };
  return {
    student,
    writer,
    get state() {
      return state;
    },
    next(payload = JSON.stringify({ answer: state.seq + 1 })) {
      const bytes = Buffer.from(payload);
      state = { seq: state.seq + 1, chain: nextChain(state.chain, bytes) };
      return { student, writer, seq: state.seq, receivedAt: Date.now(), late: false, payload: bytes };
    },
    rewind(to) {
      state = to;
    },
  };
}

/** One writer's share of a batch. */
export interface Share {
  readonly writer: TestWriter;
  readonly before: State;
  readonly after: State;
  readonly events: QueueEvent[];
  readonly late: boolean;
}

/** Makes the next `count` events of a writer. */
export function share(writer: TestWriter, count = 1, late = false): Share {
  const before = writer.state;
  const events = Array.from({ length: count }, () => ({ ...writer.next(), late }));
  return { writer, before, after: writer.state, events, late };
}

export function batchOf(...shares: Share[]): AppendBatch {
  const events = shares.flatMap((one) => one.events);
  const writers = shares.flatMap(({ writer, before, after, late }) => [
    ...[writer.student, writer.writer, formatState(before), formatState(after), late ? '1' : '0'],
  ]);
  return rawBatch(packEvents(events), events.length, writers);
}
