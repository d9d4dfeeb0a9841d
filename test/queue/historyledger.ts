import { nextChain, originChain, type State } from '#queue/chain.ts';
import type { QueueEvent } from '#queue/codec.ts';
import { shardOf } from '#queue/identity.ts';

/** An event that somebody was told to be durable, or that somebody sent, with its exact text. */
export interface Noted {
  readonly student: string;
  readonly writer: string;
  readonly seq: number;
  readonly text: string;
}

/** All that the checker may look at: what students were told and did, and what the shards hold after the seal. */
export interface History {
  readonly uid: string;
  readonly acknowledged: Iterable<Noted>;
  readonly sent: Iterable<Noted>;
  /** By shard: the log in order, and the hash `writers`. */
  readonly logs: readonly (readonly QueueEvent[])[];
  readonly writers: readonly (readonly { student: string; writer: string; state: State }[])[];
}

/** Everything that breaks the promise, in words; at most `most` of it. */
export function findFaults({ uid, acknowledged, sent, logs, writers }: History, most = 20): string[] {
  const faults: string[] = [];
  const logged = new Map<string, string>();
  const chains = new Map<string, State>();
  const wasSent = new Set([...sent].map((event) => `${nameOf(event)} ${event.text}`));
  for (const [shard, log] of logs.entries()) {
    for (const event of log) {
      const { student, writer, seq } = event;
      const [name, text, lane] = [nameOf(event), event.payload.toString(), JSON.stringify([student, writer])];
      if (logged.has(name)) faults.push(`${name} is in the log twice`);
      logged.set(name, text);
      if (shardOf(student, logs.length) !== shard) faults.push(`${name} is in shard ${shard}`);
      if (!wasSent.has(`${name} ${text}`)) faults.push(`${name} was sent by nobody: ${text}`);
      const before = chains.get(lane) ?? { seq: 0, chain: originChain(uid, student, writer) };
      if (seq !== before.seq + 1) faults.push(`${name} comes after seq ${before.seq}`);
      chains.set(lane, { seq, chain: nextChain(before.chain, event.payload) });
    }
  }
  for (const event of acknowledged) {
    const text = logged.get(nameOf(event));
    if (text === undefined) faults.push(`${nameOf(event)} was acknowledged and is not in the log`);
    else if (text !== event.text) faults.push(`${nameOf(event)} was acknowledged as ${event.text}, not ${text}`);
  }
  const stored = writers.flat();
  for (const { student, writer, state } of stored) {
    const own = chains.get(JSON.stringify([student, writer]));
    if (own?.seq === state.seq && own.chain === state.chain) continue;
    faults.push(`${student} ${writer} stands at ${state.seq}, its log at ${own?.seq ?? 0}, or the chains differ`);
  }
  if (new Set(stored.map(({ student, writer }) => JSON.stringify([student, writer]))).size !== chains.size) {
    faults.push(`${stored.length} writers are stored, ${chains.size} are in the log`);
  }
  return faults.slice(0, most);
}

function nameOf({ student, writer, seq }: { student: string; writer: string; seq: number }): string {
  return `${student} ${writer} ${seq}`;
}
