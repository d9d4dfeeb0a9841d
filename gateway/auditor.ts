import { type AuditRecord, audit, auditBounds } from '#queue/audit.ts';
import type { ShardLink } from './shardlink.ts';

export interface Auditor {
  /** Notes what happened; written within a second. */
  note(link: ShardLink, record: AuditRecord): void;
  /** Writes what is noted; to be called each second, and at the end. */
  flush(): Promise<void>;
  /** Records that were dropped: too many at once, or a shard that was away. */
  dropped(): number;
}

/** Records that wait for one shard. Each has well under the 300 bytes that let a full entry fit its bound. */
const maxWaiting = 4_000;
const maxDetail = 100;

/** Who connected and was refused, for people who look into an incident. Not evidence for answers, so it may drop. */
export function createAuditor(): Auditor {
  const waiting = new Map<ShardLink, AuditRecord[]>();
  let dropped = 0;
  return {
    note(link, record) {
      const records = waiting.get(link) ?? [];
      if (records.length >= maxWaiting) dropped++;
      else records.push(record.detail ? { ...record, detail: record.detail.slice(0, maxDetail) } : record);
      waiting.set(link, records);
    },
    async flush() {
      const taken = [...waiting];
      waiting.clear();
      await Promise.all(
        taken.map(async ([link, records]) => {
          for (let at = 0; at < records.length; at += auditBounds.records) {
            const some = records.slice(at, at + auditBounds.records);
            await audit(link.shard, some).catch(() => {
              dropped += some.length;
            });
          }
        }),
      );
    },
    dropped: () => dropped,
  };
}
