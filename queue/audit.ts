import type { Shard } from './connect.ts';
import { keys } from './keys.ts';
import { problem } from './problem.ts';

/** Something that somebody did: connected, took over, was refused; what an admin changed. Never a secret. */
export interface AuditRecord {
  /** ms since 1970, the writer's clock. */
  readonly at: number;
  /** Stable snake_case name of what happened. */
  readonly what: string;
  /** Who did it, or to whom it happened: a student, an account, a program. */
  readonly who: string;
  /** What else is worth knowing, as text. */
  readonly detail?: string;
}

/** Bounds of the audit stream: entries, records of an entry, bytes of an entry. The oldest entries go first. */
export const auditBounds = { entries: 2_000, records: 200, bytes: 65_536 } as const;

/**
 * Writes a batch of records as one entry (field `b`: a JSON array). The stream is bounded and no evidence for answers:
 * when this fails, the caller may drop the records and say so in its log.
 */
export async function audit(shard: Shard, records: readonly AuditRecord[]): Promise<void> {
  if (records.length === 0) return;
  const text = JSON.stringify(records.map(({ at, what, who, detail }) => ({ at, what, who, detail })));
  if (records.length > auditBounds.records || Buffer.byteLength(text) > auditBounds.bytes) {
    throw problem(
      'audit_too_large',
      `${records.length} audit records have ${Buffer.byteLength(text)} bytes`,
      `Write at most ${auditBounds.records} records and ${auditBounds.bytes} bytes at once.`,
    );
  }
  await shard.run((redis) => redis.xadd(keys.audit, 'MAXLEN', '~', auditBounds.entries, '*', 'b', text));
}
