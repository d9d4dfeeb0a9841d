import type { BatchQueue } from './batchqueue.ts';
import type { Shard, ShardLogger } from './connect.ts';
import { isMemoryFull } from './memory.ts';
import { asProblem } from './replyerror.ts';

/** Bounds of one shard writer; each defaults to its namesake in `limits`. */
export interface WriterLimits {
  /** High-water marks: above, sockets should not be read; above twice as much, nothing is taken. */
  readonly pendingEvents: number;
  /** Packed bytes: payloads and what stands before each. */
  readonly pendingBytes: number;
  readonly maxSeq: number;
  /** Share of Redis's maxmemory above which nothing is taken. */
  readonly fullAt: number;
}

/** Tells when to take less: before this process holds too much, and before Redis itself fails. */
export interface Pressure {
  readonly isPressed: boolean;
  /** Whether an event can be taken at all. */
  hasRoom(): boolean;
  /** Looks at the queue again. To be called when it has grown or shrunk. */
  watch(): void;
  /** What the store answered last: whether it is full. */
  storeIsFull(isFull: boolean): void;
  close(): void;
}

export interface PressureOptions {
  readonly shard: Shard;
  readonly queue: BatchQueue;
  readonly limits: WriterLimits;
  readonly onPressure: ((pressed: boolean) => void) | undefined;
  readonly logger: ShardLogger | undefined;
}

/** How often the store's memory is looked at: one cheap command. */
const memoryEveryMs = 1_000;

/**
 *   free -> pressed   events or bytes above their mark, or the store full (its disk, its memory)
 *   pressed -> free   both below half their mark, and the store not full
 */
export function createPressure({ shard, queue, limits, onPressure, logger }: PressureOptions): Pressure {
  let isPressed = false;
  let isMemoryLow = false;
  let isStoreFull = false;

  function watch(): void {
    const share = Math.max(queue.events / limits.pendingEvents, queue.bytes / limits.pendingBytes);
    const pressed = isMemoryLow || isStoreFull || share > 1 || (isPressed && share > 0.5);
    if (pressed === isPressed) return;
    isPressed = pressed;
    onPressure?.(pressed);
  }

  async function watchMemory(): Promise<void> {
    if (shard.state.phase !== 'ready') return;
    try {
      isMemoryLow = await isMemoryFull(shard, limits.fullAt);
      watch();
    } catch (error) {
      logger?.warn({ shard: shard.identity.shard, code: asProblem(error).code }, 'the memory of Redis is not known');
    }
  }

  const timer = setInterval(() => void watchMemory(), memoryEveryMs).unref();
  return {
    get isPressed() {
      return isPressed;
    },
    hasRoom: () =>
      !isMemoryLow && !isStoreFull && queue.events < 2 * limits.pendingEvents && queue.bytes < 2 * limits.pendingBytes,
    watch,
    storeIsFull(isFull) {
      if (isFull === isStoreFull) return;
      isStoreFull = isFull;
      watch();
    },
    close: () => clearInterval(timer),
  };
}
