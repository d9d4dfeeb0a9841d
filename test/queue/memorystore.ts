import type { Offence } from '#queue/append.ts';
import { parseState, type State } from '#queue/chain.ts';
import { type QueueEvent, unpackEvents } from '#queue/codec.ts';
import { writerField } from '#queue/keys.ts';
import { limits } from '#queue/limits.ts';

/**
 * The append script of PROTOCOL.md once more, in TypeScript and in memory, written from the page and not from the Lua:
 * `appendmodel.test.ts` compares the two. It lets properties of lanes be tried thousands of times a second.
 */
export interface MemoryStore {
  /** By field of `writers`: the events of a writer in log order, and its states; states[0] is of seq 1. */
  readonly writers: Map<string, { readonly events: QueueEvent[]; readonly states: State[] }>;
  readonly finished: Set<string>;
  /** Students whose time is up now. */
  readonly late: Set<string>;
  marksLate: boolean;
  isFull: boolean;
  isSealed: boolean;
  stateOf(student: string, writer: string): State | null;
  /** The arguments of the script from the batch on; the answer of the script. */
  append(args: readonly (string | Buffer)[]): string[];
}

interface Claim {
  readonly student: string;
  readonly writer: string;
  readonly before: State;
  readonly after: State;
  readonly marked: boolean;
}

export function createMemoryStore(): MemoryStore {
  const store: MemoryStore = {
    writers: new Map(),
    finished: new Set(),
    late: new Set(),
    marksLate: false,
    isFull: false,
    isSealed: false,
    stateOf: (student, writer) => store.writers.get(writerField(writer, student))?.states.at(-1) ?? null,
    append(args) {
      const claims = readClaims(args.slice(4) as string[]);
      const isRepeat = claims.every(({ student, writer, after }) => {
        const current = store.stateOf(student, writer);
        return current?.seq === after.seq && current.chain === after.chain;
      });
      if (store.isSealed && !isRepeat) return ['sealed'];
      if (store.isFull && !isRepeat) return ['full'];
      const fresh = new Map<string, number>();
      const offenders = claims.flatMap((claim, index) => {
        const kind = judge(store, claim, fresh);
        const current = store.stateOf(claim.student, claim.writer);
        return kind ? [String(index), kind, current ? `${current.seq}:${current.chain}` : '0:'] : [];
      });
      if (offenders.length > 0) return ['refused', ...offenders];
      write(store, claims, unpackEvents(Buffer.from(args[0] as Buffer)));
      return ['ok', '1-1'];
    },
  };
  return store;
}

function readClaims(flat: readonly string[]): Claim[] {
  const claims: Claim[] = [];
  for (let i = 0; i < flat.length; i += 5) {
    const [student, writer, before, after, late] = flat.slice(i, i + 5) as [string, string, string, string, string];
    claims.push({ student, writer, before: parseState(before), after: parseState(after), marked: late === '1' });
  }
  const names = claims.map(({ student, writer }) => writerField(writer, student));
  if (new Set(names).size < names.length) throw new Error('a writer twice in one batch');
  return claims;
}

function judge(store: MemoryStore, claim: Claim, fresh: Map<string, number>): Offence | null {
  const { student, writer, before, marked } = claim;
  const current = store.stateOf(student, writer);
  const seq = current?.seq ?? 0;
  if (seq > before.seq) return 'ahead';
  if (seq < before.seq) return 'behind';
  if (current && current.chain !== before.chain) return 'forked';
  if (store.finished.has(student)) return 'finished';
  const has = fresh.get(student) ?? [...store.writers.keys()].filter((field) => field.endsWith(`:${student}`)).length;
  if (!current && has >= limits.writersPerStudent) return 'quota';
  const late = store.late.has(student);
  if (marked && !late) return 'ontime';
  if (late && !(marked && store.marksLate)) return 'late';
  if (!current) fresh.set(student, has + 1);
  return null;
}

function write(store: MemoryStore, claims: readonly Claim[], events: readonly QueueEvent[]): void {
  for (const event of events) {
    const field = writerField(event.writer, event.student);
    const own = store.writers.get(field) ?? { events: [], states: [] };
    store.writers.set(field, own);
    if (event.seq !== own.events.length + 1) throw new Error(`${field}: seq ${event.seq} after ${own.events.length}`);
    const claim = claims.find(({ student, writer }) => student === event.student && writer === event.writer);
    if (claim?.marked !== event.late) throw new Error(`${field}: seq ${event.seq} is marked otherwise than claimed`);
    own.events.push(event);
  }
  for (const { student, writer, after } of claims) {
    const own = store.writers.get(writerField(writer, student))!;
    // Only the state after the last event is told; the ones between are never compared with anything.
    while (own.states.length < own.events.length) own.states.push(after);
  }
}
