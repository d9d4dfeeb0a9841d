import { nextChain, originChain, type State } from '#queue/chain.ts';
import type { Lane, Offer, Refusal, ShardWriter } from '#queue/shardwriter.ts';
import { until } from '#test/support/until.ts';

/** An outbox on a lane of a shard writer, and all that it was told. */
export interface TestLane {
  readonly lane: Lane;
  /** Highest seq that was told to be durable, or stood so when it was attached. */
  readonly acked: number;
  readonly refusals: readonly (readonly [Refusal, State])[];
  readonly payloads: readonly Buffer[];
  /** Numbers, freezes and offers one event after the last. */
  offer(text?: string): Offer;
  /** Offers what the outbox holds under this seq, or something else, again. */
  repeat(seq: number, text?: string): Offer;
  /** Waits until everything that the outbox holds is acknowledged. */
  settled(): Promise<void>;
  refused(): Promise<Refusal>;
  detach(): void;
}

export interface TestLaneOptions {
  readonly uid: string;
  /** Events that the outbox holds already, from seq 1 on; the next offer comes after what is durable of them. */
  readonly outbox?: readonly Buffer[];
  readonly writer?: string;
}

export async function testLane(
  shardWriter: ShardWriter,
  student: string,
  { uid, outbox = [], writer = 'writer-1' }: TestLaneOptions,
): Promise<TestLane> {
  const payloads = [...outbox];
  const chains = [originChain(uid, student, writer)];
  for (const payload of payloads) chains.push(nextChain(chains.at(-1)!, payload));
  const refusals: [Refusal, State][] = [];
  let acked = 0;
  const listener = {
    durable: (seq: number) => {
      if (seq <= acked) throw new Error(`seq ${seq} after ${acked}`);
      acked = seq;
    },
    refused: (kind: Refusal, durable: State) => void refusals.push([kind, durable]),
  };
  const lane = await shardWriter.attach(student, writer, listener);
  acked = lane.durable.seq;
  const offerAt = (seq: number, payload: Buffer) => shardWriter.offer(lane, seq, payload, Date.now());
  return {
    lane,
    payloads,
    refusals,
    get acked() {
      return acked;
    },
    offer(text = `${student} ${payloads.length + 1}`) {
      payloads.push(Buffer.from(JSON.stringify(text)));
      return offerAt(payloads.length, payloads.at(-1)!);
    },
    repeat: (seq, text) => offerAt(seq, text === undefined ? payloads[seq - 1]! : Buffer.from(JSON.stringify(text))),
    settled: async () =>
      void (await until(() => acked === payloads.length, { what: `seq ${payloads.length} of ${student}` })),
    refused: async () => (await until(() => refusals[0], { what: `a refusal of ${student}` }))[0],
    detach: () => shardWriter.detach(lane, listener),
  };
}
