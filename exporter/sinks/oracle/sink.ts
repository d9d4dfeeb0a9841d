import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { isProblem } from '#queue/problem.ts';
import type { AttemptPlan } from '../../attempt.ts';
import { crashPoint } from '../../crashpoint.ts';
import { createRetryLog } from '../../retries.ts';
import type { Row } from '../../row.ts';
import type { LoadedShard, Sink } from '../../sink.ts';
import { ambiguous, watched } from '../staging.ts';
import { type OracleSettings, tableFault } from './config.ts';
import { connect, type Session } from './connection.ts';
import { claimHolder, claimShard, freezePlan, makeOnce, readRecords, stagingTables } from './control.ts';
import { type DdlPlace, stagingDdl } from './ddl.ts';
import { codeOf, errorClassOf, passwordExpires } from './errors.ts';
import { stagingName } from './names.ts';
import { askDatabase, askServer, faultsOf, unprepared } from './preflight.ts';
import { readSession } from './readback.ts';
import { mayRetry, sinkProblem } from './retry.ts';
import { dropStaging, stageRows } from './staging.ts';
import { publishStaged } from './target.ts';

const firstPauseMs = 250;
const longestPauseMs = 5_000;
/** Another session's publishing locks the table for as long as it lasts: worth waiting for, rather than staging again. */
const lockPatience = 10;

/**
 * The sink for Oracle 12.2 and newer, over the driver's thin mode: a NOLOGGING staging table for each shard and
 * attempt, filled by direct path, and one transaction that publishes by a direct path insert. `control.ts` says what is
 * known of attempts, `staging.ts` what is staged, `target.ts` what publishing does, `errors.ts` what becomes of errors.
 *
 * Everything that may be repeated is, while the server is away or locked, for `patienceSeconds`: connecting, preparing,
 * publishing (which reads the control row before anything else). Loading is not: whatever happens in it, the attempt
 * is over.
 * @param signal breaks off what runs
 */
export function createOracleSink(settings: OracleSettings, signal?: AbortSignal): Sink {
  const open = new Set<Session>();
  const retried = createRetryLog();
  let own: Session | null = null;
  let prepared: AttemptPlan | null = null;
  let closed = false;

  function plan(): AttemptPlan {
    if (!prepared) throw new Error('prepare() comes first');
    return prepared;
  }

  function placeOf({ user }: Session, table: string): DdlPlace {
    const { schema, tablespace, partition, targetLogging } = settings;
    return { user, owner: schema ?? user, table, tablespace, partition, targetLogging };
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
    const begun = performance.now();
    for (let tries = 0; ; tries++) {
      try {
        return await work(tries);
      } catch (error) {
        signal?.throwIfAborted();
        const factor = isProblem(error) || errorClassOf(error).code !== 'target_locked' ? 1 : lockPatience;
        const end = begun + settings.patienceSeconds * 1_000 * factor;
        const pause = Math.min(firstPauseMs * 2 ** tries, longestPauseMs) * (0.75 + Math.random() / 2);
        if (closed || !mayRetry(error) || performance.now() + pause > end) throw sinkProblem(error, settings.user);
        retried.note(step, codeOf(error) ?? errorClassOf(error).code);
        await sleep(pause, null, signal ? { signal } : {});
      }
    }
  }

  async function load(shard: number, rows: AsyncIterable<readonly Row[]>): Promise<LoadedShard> {
    const attempt = plan();
    const session = await patiently('connect', connected);
    const table = stagingName(attempt.session.uid, attempt.attempt, shard);
    const claim = { shard, table, by: `${hostname()} pid ${process.pid} ${randomUUID()}` };
    if (!(await claimShard(session, attempt, claim))) return loadedBefore(session, attempt, shard);
    crashPoint('load:claimed');
    // The claim is ours, so a table of that name is nobody's.
    const isNew = await makeOnce(session, stagingDdl(session.user, table, settings.tablespace));
    if (!isNew) throw ambiguous(shard, `somebody who made ${table} without a claim`);
    // Attempts that fail do not fill the disk.
    const { uid } = attempt.session;
    await dropStaging(session, await stagingTables(session, uid, { shard, before: attempt.attempt }));
    try {
      return await stageRows(session, attempt, claim, rows, settings.loading);
    } catch (error) {
      // A later attempt, or an administrator, has dropped the table under a loader that stood still.
      throw codeOf(error) === 'ORA-00942' ? ambiguous(shard, `this loader, whose table ${table} is gone`) : error;
    }
  }

  async function loadedBefore(session: Session, attempt: AttemptPlan, shard: number): Promise<LoadedShard> {
    const record = (await readRecords(session, attempt)).find((one) => one.shard === shard);
    if (record) return record;
    throw ambiguous(shard, await claimHolder(session, attempt, shard));
  }

  return {
    async prepare(wanted) {
      const fault = tableFault(wanted.table);
      if (fault !== null) throw unprepared([{ what: fault, sql: null }]);
      await patiently('prepare', async () => {
        const session = await connected();
        const place = placeOf(session, wanted.table);
        const faults = faultsOf(await askServer(session, place), place);
        if (faults.length > 0) throw unprepared(faults);
        await freezePlan(session, settings.tablespace, wanted);
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
        throw source.failure() ?? sinkProblem(error, settings.user, `loading shard ${shard}`);
      }
    },
    loaded: () => patiently('read records', async () => readRecords(await connected(), plan())),
    async publish() {
      const published = await patiently('publish', async (retries) => {
        const session = await connected();
        crashPoint('publish:opened');
        const place = placeOf(session, plan().table);
        return { ...(await publishStaged(session, place, plan())), retries };
      });
      crashPoint('publish:checkpointed');
      return published;
    },
    async *readBack() {
      const { table, session } = plan();
      // Of its own: whoever stops reading ends the connection.
      const opened = await patiently('read back', openSession);
      try {
        yield* readSession(opened, placeOf(opened, table).owner, table, session.uid);
      } catch (error) {
        throw sinkProblem(error, settings.user, 'reading the rows back');
      } finally {
        await opened.close();
        open.delete(opened);
      }
    },
    async tidy() {
      const { table, session } = plan();
      await patiently('tidy', async () => {
        const own = await connected();
        await dropStaging(own, await stagingTables(own, session.uid));
        if (placeOf(own, table).owner === own.user) await gatherStatistics(own, table);
      });
    },
    retries: retried.all,
    async version() {
      return patiently('version', async () => {
        const session = await connected();
        const forced = (await askDatabase(session))?.forceLogging === true ? ', FORCE LOGGING' : '';
        const expires = session.warning?.includes(passwordExpires) === true ? ', the password expires soon' : '';
        return `Oracle Database ${session.versionText}${forced}${expires}`;
      });
    },
    async close() {
      closed = true;
      await Promise.all([...open].map((session) => session.close()));
    },
  };
}

/** Without them the optimizer thinks that the table is as empty as it was. */
async function gatherStatistics(session: Session, table: string): Promise<void> {
  await session.run('BEGIN DBMS_STATS.GATHER_TABLE_STATS(:1, :2); END;', [session.user, `"${table}"`]);
}
