import { openShard } from '#queue/connect.ts';
import { shardOf } from '#queue/identity.ts';
import type { ShardIdentity } from '#queue/shardcheck.ts';
import { createShardWriter, type Lane, type LaneListener, type Offer, type Refusal } from '#queue/shardwriter.ts';

// A process that plays a gateway in histories.test.ts: shard writers, and a parent that talks for the students. It ends
// with its parent. Its one argument is a HistoryGatewayConfig in JSON.

export interface HistoryGatewayConfig {
  readonly shards: readonly { readonly port: number; readonly identity: ShardIdentity }[];
}

/** From the students. `id` names a connection; a connection has one writer. */
export type ToGateway =
  | { readonly kind: 'open'; readonly id: number; readonly student: string; readonly writer: string }
  | { readonly kind: 'offer'; readonly id: number; readonly seq: number; readonly text: string }
  | { readonly kind: 'leave'; readonly id: number };

export type FromGateway =
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened'; readonly id: number; readonly seq: number; readonly chain: string }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string }
  | { readonly kind: 'answer'; readonly id: number; readonly seq: number; readonly offer: Offer }
  | { readonly kind: 'durable'; readonly id: number; readonly seq: number }
  | { readonly kind: 'refused'; readonly id: number; readonly refusal: Refusal };

/** Short, so that a network that holds everything back makes appends time out, and old ones arrive late. */
const timing = { commandTimeoutMs: 400, retryMs: 5, maxRetryMs: 100, slowRetryMs: 200 };

interface Seat {
  readonly lane: Lane;
  readonly listener: LaneListener;
  /** The lane is shared with other connections: up to here, this one has offered the same. */
  proven: number;
}

function say(message: FromGateway): void {
  process.send?.(message);
}

function serve({ shards }: HistoryGatewayConfig): void {
  const writers = shards.map(({ port, identity }) => {
    const endpoint = { host: '127.0.0.1', port };
    return createShardWriter({ shard: openShard({ endpoint, identity, name: 'history', timing }), maxRetryMs: 100 });
  });
  const seats = new Map<number, Seat>();
  const writerOf = (student: string) => writers[shardOf(student, shards.length)]!;

  async function open(id: number, student: string, writer: string): Promise<void> {
    const listener: LaneListener = {
      durable: (seq) => say({ kind: 'durable', id, seq: Math.min(seq, seats.get(id)?.proven ?? 0) }),
      refused: (refusal, durable) => {
        const seat = seats.get(id);
        const isOther = refusal === 'forked' || refusal === 'superseded';
        if (seat) seat.proven = isOther ? 0 : Math.min(seat.proven, durable.seq);
        say({ kind: 'refused', id, refusal });
      },
    };
    try {
      const lane = await writerOf(student).attach(student, writer, listener);
      seats.set(id, { lane, listener, proven: lane.durable.seq });
      say({ kind: 'opened', id, ...lane.durable });
    } catch (error) {
      say({ kind: 'failed', id, code: (error as { code?: string }).code ?? String(error) });
    }
  }

  function offer(seat: Seat, seq: number, text: string): Offer {
    if (seq > seat.proven + 1) return 'gap';
    const answer = writerOf(seat.lane.student).offer(seat.lane, seq, Buffer.from(text), Date.now());
    if (/accepted|repeat/.test(answer)) seat.proven = Math.max(seat.proven, seq);
    return answer;
  }

  process.on('message', (message: ToGateway) => {
    const { id } = message;
    if (message.kind === 'open') return void open(id, message.student, message.writer);
    const seat = seats.get(id);
    if (!seat) return;
    if (message.kind === 'offer') {
      const { seq, text } = message;
      return say({ kind: 'answer', id, seq, offer: offer(seat, seq, text) });
    }
    writerOf(seat.lane.student).detach(seat.lane, seat.listener);
    seats.delete(id);
  });
  process.on('disconnect', () => process.exit(0));
  say({ kind: 'ready' });
}

serve(JSON.parse(process.argv[2] ?? '') as HistoryGatewayConfig);
