import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttemptPlan } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import { createRetryLog } from '../../retries.ts';
import type { Row } from '../../row.ts';
import type { LoadedShard, Sink } from '../../sink.ts';
import { ambiguous, watched } from '../staging.ts';
import { type PostgresSettings, tableFault } from './config.ts';
import { connect, type Session } from './connection.ts';
import { claimHolder, claimShard, freezePlan, readRecords, stagingTables } from './control.ts';
import { stagingName } from './names.ts';
import { askServer, faultsOf, unprepared } from './preflight.ts';
import { readSession } from './readback.ts';
import { mayRetry, sinkProblem, troubleCode } from './retry.ts';
import { dropStaging, stageRows, stagingDdl } from './staging.ts';
import { publishStaged } from './target.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;

/**
 * The sink for PostgreSQL 13 and newer: an unlogged staging table for each shard and attempt, filled by one binary
 * COPY, and one transaction that publishes. `control.ts` says what is known of attempts, `staging.ts` what is staged,
 * `target.ts` what publishing does, `retry.ts` what becomes of errors.
 *
 * Everything that may be repeated is, while the server is away or locked, for `patienceSeconds`: connecting, preparing,
 * publishing (which reads the control row before anything else). Loading is not: whatever happens in it, the attempt
 * is over.
 * @param signal breaks off what runs
 */
export function createPostgresSink(settings: PostgresSettings, signal?: AbortSignal): Sink {
  const { schema } = settings;
  const open = new Set<Session>();
  const retried = createRetryLog();
  let own: Session | null = null;
  let prepared: AttemptPlan | null = null;
  let closed = false;

  function plan(): AttemptPlan {
    if (!prepared) throw new Error('prepare() comes first');
    return prepared;
  }

  async function openSession(): Promise<Session> {
    if (closed) throw new Error('the sink is closed');
    const session = await connect(settings, signal);
    open.add(session);
    if (!closed) return session;
    await session.close();
    throw new Error('the sink is closed');
  }

  /** The connection that all steps but reading share; another one after it was lost. */
  async function connected(): Promise<Session> {
    if (own?.usable) return own;
    if (own) open.delete(own);
    own = await openSession();
    return own;
  }

  /** Repeats what may be repeated. `work` is told how often it was before. */
  async function patiently<T>(step: string, work: (tries: number) => Promise<T>): Promise<T> {
    const end = performance.now() + settings.patienceSeconds * 1_000;
    for (let tries = 0; ; tries++) {
      try {
        return await work(tries);
      } catch (error) {
        signal?.throwIfAborted();
        const pause = Math.min(firstPauseMs * 2 ** tries, longestPauseMs);
        if (closed || !mayRetry(error) || performance.now() + pause > end) throw sinkProblem(error);
        retried.note(step, troubleCode(error));
        await sleep(pause, null, signal ? { signal } : {});
      }
    }
  }

  async function load(shard: number, rows: AsyncIterable<readonly Row[]>): Promise<LoadedShard> {
    const attempt = plan();
    const session = await patiently('connect', connected);
    const table = stagingName(attempt.session.uid, attempt.attempt, shard);
    const claim = { shard, table, by: `${hostname()} pid ${process.pid} ${randomUUID()}` };
    const claimed = await session.transaction(async () => {
      const mine = await claimShard(session, schema, attempt, claim);
      if (mine) await session.run(stagingDdl(schema, table));
      return mine;
    });
    if (!claimed) return loadedBefore(session, attempt, shard);
    crashPoint('load:claimed');
    // Attempts that fail do not fill the disk.
    const { uid } = attempt.session;
    await dropStaging(session, schema, await stagingTables(session, schema, uid, { shard, before: attempt.attempt }));
    return stageRows(session, schema, attempt, claim, rows);
  }

  async function loadedBefore(session: Session, attempt: AttemptPlan, shard: number): Promise<LoadedShard> {
    const record = (await readRecords(session, schema, attempt)).find((one) => one.shard === shard);
    if (record) return record;
    throw ambiguous(shard, await claimHolder(session, schema, attempt, shard));
  }

  return {
    async prepare(wanted) {
      const { table, session } = wanted;
      const fault = tableFault(table);
      if (fault !== null) throw unprepared([{ what: fault, sql: null }]);
      await patiently('prepare', async () => {
        const opened = await connected();
        const place = { schema, table, exam: session.exam };
        const faults = faultsOf(await askServer(opened, place), place);
        if (faults.length > 0) throw unprepared(faults);
        await freezePlan(opened, schema, wanted);
      });
      prepared = wanted;
      crashPoint('load:frozen');
    },
    async load(shard, rows) {
      const source = watched(rows);
      try {
        return await load(shard, source.rows);
      } catch (error) {
        // What goes wrong with the log is not the server's trouble.
        throw source.failure() ?? sinkProblem(error);
      }
    },
    loaded: () => patiently('read records', async () => readRecords(await connected(), schema, plan())),
    async publish() {
      const published = await patiently('publish', async (retries) => {
        const session = await connected();
        crashPoint('publish:opened');
        return { ...(await publishStaged(session, schema, plan())), retries };
      });
      crashPoint('publish:checkpointed');
      return published;
    },
    async *readBack() {
      const { table, session } = plan();
      // Of its own: whoever stops reading ends the connection.
      const opened = await patiently('read back', openSession);
      try {
        yield* readSession(opened, schema, table, session.uid);
      } catch (error) {
        throw sinkProblem(error);
      } finally {
        await opened.close();
        open.delete(opened);
      }
    },
    async tidy() {
      const { uid } = plan().session;
      await patiently('tidy', async () => {
        const session = await connected();
        await dropStaging(session, schema, await stagingTables(session, schema, uid));
      });
    },
    retries: retried.all,
    async version() {
      const [row] = await patiently('version', async () =>
        (await connected()).rows<{ version: string }>(`SELECT current_setting('server_version') AS version`),
      );
      return `PostgreSQL ${row!.version}`;
    },
    async close() {
      closed = true;
      await Promise.all([...open].map((session) => session.close()));
    },
  };
}
