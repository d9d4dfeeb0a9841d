import type { Endpoint } from '#queue/client.ts';
import type { Place } from './effect.ts';
import type { ExamSession } from './examsession.ts';
import type { AttemptPlan, Desired } from './plan.ts';
import type { Roster } from './roster.ts';
import type { SessionStatus } from './status.ts';

/**
 * The port between what should exist and where it does: one machine, or a cluster. A platform knows processes or
 * pods, volumes, keys and files; it knows nothing of phases and decides nothing about a session's life.
 *
 * All it must keep through any crash: the identity, the last status written, the attempts, the volumes.
 */
export interface Platform {
  /** What is there now. Never waits for something to become ready. */
  observe(): Promise<Observed>;
  /**
   * Makes what is desired and not there, and stops what is no longer desired; idempotent. It begins things and
   * returns; whether they are ready is observed later. What died is restarted with backoff without being asked.
   * The identity is kept outside of Redis before any Redis starts.
   */
  apply(desired: Desired): Promise<void>;
  /** Keeps that a shard's Redis was initialised. From then on an empty one is a lost one, and never made anew. */
  recordBorn(shards: readonly number[]): Promise<void>;
  /** Keeps the status where users look for it. */
  writeStatus(status: SessionStatus): Promise<void>;
  /** Counts and latencies of the gateways that answer now; null when none does. Bounded in time. */
  sample(): Promise<Sample | null>;
  /** Calls back when something may have changed that a pass would see. Returns what ends it. */
  watch(changed: () => void): () => void;
  /** Stops everything that runs, gateways first, in a bounded time. Volumes, keys and status stay. */
  remove(): Promise<void>;
}

/** What is wrong, in the words of a Problem, without the error. */
export interface Fault {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** Who the session is, kept outside of Redis from before its first start. */
export interface Identity {
  /** A UUID, new for every session that is created, also under the same name. */
  readonly uid: string;
  /** Empty until the first shards are made; after that their number is fixed. */
  readonly shards: readonly ShardBirth[];
}

export interface ShardBirth {
  readonly shard: number;
  /** Opaque; written into the shard's Redis once, and compared ever after. */
  readonly incarnation: string;
  /** Its Redis was initialised. */
  readonly born: boolean;
}

export interface Observed {
  readonly place: Place;
  /** The last admissible session, with its defaults. */
  readonly session: ExamSession;
  /** Counts the admissible edits of the spec, from 1. */
  readonly generation: number;
  /** An edit (of the session, or of its roster) that is not admissible, and so is not in force. */
  readonly editFault: Fault | null;
  /** Somebody asked the operator to only look, and change nothing. */
  readonly paused: boolean;
  readonly roster: Roster;
  readonly identity: Identity;
  /** The status as it was last written; null before the first. */
  readonly status: SessionStatus | null;
  readonly shards: readonly ShardObserved[];
  readonly gateways: readonly GatewayObserved[];
  /** The latest attempt to export. */
  readonly attempt: AttemptObserved | null;
  /** Where students connect; null while nobody can. */
  readonly url: string | null;
  /** Checks receipts (PEM). */
  readonly receiptPublicKey: string;
}

/** A shard's Redis, as the platform sees it from outside. */
export interface ShardObserved {
  readonly shard: number;
  readonly running: boolean;
  /** How the operator reaches it; null while that is not known. */
  readonly endpoint: Endpoint | null;
  /** As it was last configured; 0 before. */
  readonly maxmemoryBytes: number;
  /** `usedBytes` is null where the platform cannot see it: then what Redis says of its file counts. */
  readonly storage: { readonly usedBytes: number | null; readonly capacityBytes: number } | null;
  /** It keeps ending right after its start. */
  readonly fault: Fault | null;
}

/** Serve: take answers. Answer: only tell what is saved, and give receipts. */
export const gatewayModes = ['serve', 'answer'] as const;
export type GatewayMode = (typeof gatewayModes)[number];

export interface GatewayObserved {
  readonly id: string;
  readonly mode: GatewayMode;
  /** Takes connections now. */
  readonly ready: boolean;
  /** It keeps ending right after its start. */
  readonly fault: Fault | null;
}

/** failed: a new attempt may work. blocked: a person must mend something first. */
export const attemptStates = ['running', 'succeeded', 'failed', 'blocked'] as const;
export type AttemptState = (typeof attemptStates)[number];

export interface AttemptObserved {
  readonly plan: AttemptPlan;
  readonly state: AttemptState;
  readonly step: 'load' | 'publish' | 'verify';
  readonly rows: number;
  /** Rows that the step has to do; 0 when not known. */
  readonly total: number;
  readonly rowsPerSecond: number;
  /** ms since 1970; null while it runs. */
  readonly endedAt: number | null;
  /** Why it did not succeed; while it runs, what holds it up. */
  readonly fault: Fault | null;
  readonly result: ExportResult | null;
}

/** What a successful attempt proved. */
export interface ExportResult {
  readonly rows: number;
  /** The session's root, recomputed from the rows that were read back. */
  readonly root: string;
  /** SHA-256 of the report, and where it is. */
  readonly digest: string;
  readonly report: string;
  readonly rowsPerSecond: number;
}

/** The gateways' view of this moment, added up. */
export interface Sample {
  /** Sockets, and the students behind them. */
  readonly connections: number;
  readonly students: number;
  /** Events taken in and not yet durable. */
  readonly pendingEvents: number;
  readonly ackMs: AckMs;
}

/** How long acknowledgements took, in ms, lately. */
export interface AckMs {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly count: number;
}
