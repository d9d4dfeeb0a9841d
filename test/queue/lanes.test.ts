import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '#cli/random.ts';
import { nextChain, originChain, type State } from '#queue/chain.ts';
import type { LaneListener } from '#queue/lane.ts';
import { createShardWriter, type Lane, type ShardWriter } from '#queue/shardwriter.ts';
import { type Fault, type MemoryShard, memoryShard } from './memoryshard.ts';
import { createMemoryStore, type MemoryStore } from './memorystore.ts';

// Clients (outboxes) write through two processes into one store, over a network that loses requests and replies. Every
// acknowledgement is checked in the moment that it is given, against what the store holds in that moment.

const uid = 'session';
const payloadOf = (text: string) => Buffer.from(JSON.stringify(text));

interface World {
  readonly store: MemoryStore;
  readonly gateways: readonly { readonly shard: MemoryShard; readonly writer: ShardWriter }[];
  readonly clients: readonly Client[];
}

/** One outbox: events frozen under their numbers, and at most one connection that it still uses. */
interface Client {
  readonly student: string;
  readonly writer: string;
  readonly outbox: Buffer[];
  readonly chains: string[];
  connection: Connection | null;
}

/** What one connection was told. It outlives its use: an abandoned socket goes on listening. */
interface Connection {
  readonly client: Client;
  readonly gateway: number;
  lane: Lane | null;
  listener: LaneListener;
  /** Offered events after `from` were accepted up to `to`, and acknowledged up to `acked`. */
  from: number;
  to: number;
  acked: number;
  refusals: string[];
}

function createWorld(seed: number, marksLate: boolean): World {
  const store = createMemoryStore();
  store.marksLate = marksLate;
  const random = seededRandom(seed);
  const gateways = [0, 1].map(() => {
    const shard = memoryShard(store, uid, () => Math.floor(random() ** 2 * 6));
    return { shard, writer: createShardWriter({ shard, maxRetryMs: 1, limits: { pendingEvents: 40 } }) };
  });
  // Client 1 is a copy of the outbox of client 0: the same name, and soon other events.
  const names = ['ann writer-a', 'ann writer-a', 'bob writer-b'].map((name) => name.split(' ') as [string, string]);
  const clients = names.map(([student, writer]) => {
    return { student, writer, outbox: [], chains: [originChain(uid, student, writer)], connection: null };
  });
  return { store, gateways, clients };
}

/** The promise, at the moment it is made: what is acknowledged is in the log with the bytes of this very outbox. */
function checkAcked({ store }: World, connection: Connection, seq: number): void {
  const { client, from } = connection;
  const stored = store.writers.get(`${client.writer}:${client.student}`)?.events ?? [];
  expect(seq).toBeGreaterThanOrEqual(connection.acked);
  for (let s = from + 1; s <= Math.min(seq, connection.to); s++) {
    expect(stored[s - 1]?.payload, `seq ${s} of ${client.writer}`).toEqual(client.outbox[s - 1]);
  }
  connection.acked = seq;
}

async function open(world: World, client: Client, gateway: number): Promise<void> {
  const connection: Connection = {
    ...{ client, gateway, lane: null, from: 0, to: 0, acked: 0, refusals: [] },
    listener: {
      durable: (seq) => checkAcked(world, connection, seq),
      refused: (kind, durable) => {
        connection.refusals.push(kind);
        if (kind === 'late') expect(world.store.marksLate).toBe(false);
        connection.from = connection.to = connection.acked = durable.seq;
      },
    },
  };
  const { student, writer } = client;
  const told = world.store.stateOf(student, writer)?.seq ?? 0;
  try {
    connection.lane = await world.gateways[gateway]!.writer.attach(student, writer, connection.listener);
  } catch {
    return;
  }
  const { seq } = connection.lane.durable;
  // Whoever opens is told no less than was stored, and so perhaps acknowledged, before it asked.
  expect(seq).toBeGreaterThanOrEqual(told);
  connection.from = connection.to = connection.acked = seq;
  client.connection = connection;
}

/** Offers everything of the outbox that comes next on this connection. */
function resume(world: World, client: Client): void {
  const { connection } = client;
  if (!connection?.lane) return;
  while (connection.to < client.outbox.length) if (!offer(world, connection, connection.to + 1)) return;
}

/** Offers one event; true when the next may follow. */
function offer(world: World, connection: Connection, seq: number): boolean {
  const { client, lane, gateway } = connection;
  const answer = world.gateways[gateway]!.writer.offer(lane!, seq, client.outbox[seq - 1]!, 1);
  if (['accepted', 'repeat_pending', 'repeat_durable'].includes(answer)) {
    connection.to = Math.max(connection.to, seq);
    if (answer === 'repeat_durable') {
      const stored = world.store.writers.get(`${client.writer}:${client.student}`)?.events[seq - 1];
      expect(stored?.payload).toEqual(client.outbox[seq - 1]);
    }
    return true;
  }
  return false;
}

function write(client: Client, text: string): void {
  const payload = payloadOf(text);
  client.outbox.push(payload);
  client.chains.push(nextChain(client.chains.at(-1)!, payload));
}

const client = fc.nat({ max: 2 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('write' as const), client, fc.integer({ min: 1, max: 6 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('all write' as const), fc.constant(0), fc.integer({ min: 1, max: 2 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('open' as const), client, fc.nat({ max: 1 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('leave' as const), client, fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('repeat' as const), client, fc.nat({ max: 10 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('wait' as const), fc.constant(0), fc.nat({ max: 5 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('fault' as const), fc.nat({ max: 1 }), fc.nat({ max: 1 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('late' as const), fc.nat({ max: 1 }), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('finish' as const), fc.constant(0), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('full' as const), fc.nat({ max: 1 }), fc.constant(0)) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const faults: readonly Fault[] = ['request lost', 'reply lost'];

async function take(world: World, [act, who, what]: Step, index: number): Promise<void> {
  const { store, clients, gateways } = world;
  const one = clients[who]!;
  for (const writing of act === 'write' ? [one] : act === 'all write' ? clients : []) {
    for (let i = 0; i < what; i++) write(writing, `${clients.indexOf(writing)} ${index} ${i}`);
    resume(world, writing);
  }
  if (act === 'open') await Promise.all([open(world, one, what), turn()]);
  if (act === 'leave' && one.connection?.lane) {
    gateways[one.connection.gateway]!.writer.detach(one.connection.lane, one.connection.listener);
    one.connection = null;
  }
  // A copy of an outbox may be told more than it ever wrote: that it cannot repeat.
  if (act === 'repeat' && one.connection && what > 0 && what <= Math.min(one.connection.to, one.outbox.length))
    offer(world, one.connection, what);
  if (act === 'wait') for (let i = 0; i < what; i++) await turn();
  if (act === 'fault') gateways[who]!.shard.faults.push(faults[what]!);
  if (act === 'late' && who === 1) store.late.add('ann');
  if (act === 'late' && who === 0) store.late.delete('ann');
  if (act === 'finish') store.finished.add('bob');
  if (act === 'full') store.isFull = who === 1;
}

/** The network heals, the store has room, and everybody who is still there resumes until nothing changes any more. */
async function heal(world: World): Promise<void> {
  world.store.isFull = false;
  for (const { shard } of world.gateways) shard.faults.length = 0;
  for (const { writer } of world.gateways) expect(await writer.drain(5_000)).toBe(true);
}

function checkEnd({ store, gateways, clients }: World): void {
  for (const { shard, writer } of gateways) {
    expect(shard.alarms).toEqual([]);
    expect(writer.stats()).toMatchObject({ pendingEvents: 0, pendingBytes: 0 });
    writer.close();
  }
  // Nothing in the log that nobody wrote, and every writer's chain is that of its events.
  for (const [field, { events, states }] of store.writers) {
    const { student, writer } = events[0]!;
    let chain = originChain(uid, student, writer);
    for (const { seq, payload } of events) {
      chain = nextChain(chain, payload);
      const outboxes = clients.filter((one) => `${one.writer}:${one.student}` === field);
      expect(outboxes.some((one) => one.outbox[seq - 1]?.equals(payload))).toBe(true);
    }
    expect(states.at(-1)).toEqual({ seq: events.length, chain } satisfies State);
  }
  // Whatever was accepted is acknowledged, or its connection was told that it is not, or waits behind another process.
  for (const { connection } of clients) {
    if (!connection?.lane || connection.to <= connection.acked) continue;
    const isBehind =
      connection.lane.durable.seq < (store.stateOf(connection.client.student, connection.client.writer)?.seq ?? 0);
    expect(isBehind).toBe(true);
  }
}

test('whatever clients, networks and other processes do, an acknowledgement is true and nothing is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.nat(),
      fc.boolean(),
      async (steps, seed, marks) => {
        const world = createWorld(seed, marks);
        for (const [index, one] of steps.entries()) await take(world, one, index);
        await heal(world);
        checkEnd(world);
      },
    ),
    { numRuns: 1_000 },
  );
});
