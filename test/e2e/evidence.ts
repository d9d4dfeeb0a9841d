import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { openShard } from '#queue/connect.ts';
import { readLog } from '#queue/log.ts';
import { startRedis } from '#test/support/redis.ts';
import type { Logged, Row } from './checker.ts';

/** Reads every row of the exported table, whatever session it says it is of. */
export async function readTable(database: string, table: string): Promise<Row[]> {
  const instance = await DuckDBInstance.create(database, { access_mode: 'READ_ONLY', threads: '1' });
  try {
    const connection = await instance.connect();
    try {
      const sql = `select SESSION_UID, STUDENT, ORDER_NO::double ORDER_NO, WRITER, SEQ::double SEQ, PAYLOAD,
        epoch_ms(DURABLE_AT)::double DURABLE_AT from ${table} order by STUDENT, ORDER_NO, WRITER, SEQ`;
      const rows = (await connection.runAndReadAll(sql)).getRowObjectsJS();
      return rows.map((row) => ({
        session: String(row.SESSION_UID),
        student: String(row.STUDENT),
        writer: String(row.WRITER),
        seq: Number(row.SEQ),
        orderNo: Number(row.ORDER_NO),
        payload: Buffer.from(String(row.PAYLOAD)),
        durableAt: Number(row.DURABLE_AT),
      }));
    } finally {
      connection.closeSync();
    }
  } finally {
    instance.closeSync();
  }
}

/** What DIR/identity.json tells of the queue. */
interface Identity {
  readonly uid: string;
  readonly shards: readonly { readonly shard: number; readonly incarnation: string }[];
}

/** Reads every shard's sealed log: a Redis of our own loads a copy of the append-only file that the session left. */
export async function readSealedLogs(dataDir: string, folder: string): Promise<Logged[][]> {
  const { uid, shards } = JSON.parse(readFileSync(join(dataDir, 'identity.json'), 'utf8')) as Identity;
  const logs: Logged[][] = [];
  for (const { shard, incarnation } of shards) {
    const dir = join(folder, `redis-${shard}`);
    cpSync(join(dataDir, 'redis', String(shard), 'appendonlydir'), join(dir, 'appendonlydir'), { recursive: true });
    const redis = await startRedis({ dir });
    const identity = { uid, shard, shards: shards.length, incarnation };
    const reader = openShard({ endpoint: { host: redis.host, port: redis.port }, identity, name: 'checker' });
    try {
      await reader.ready(10_000);
      const log: Logged[] = [];
      for await (const { events } of readLog(reader, { untilSeal: true })) {
        for (const { student, writer, seq, payload } of events) {
          log.push({ student, writer, seq, payload: Buffer.from(payload) });
        }
      }
      logs.push(log);
    } finally {
      await reader.close();
      await redis.stop();
    }
  }
  return logs;
}
