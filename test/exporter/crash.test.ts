import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { crashPoints } from '#exporter/crashpoint.ts';
import { long } from '#test/support/long.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { duckdbSql } from './duckdbtarget.ts';
import { loadAll, publish } from './job.ts';
import { outcomeOf, startLoad, startPublish } from './programs.ts';
import { type SealedSession, sealedSession, studentNames } from './sealedsession.ts';

/** Rows of the session in the table; 0 when there is no database or no table. Looks at a copy: opening repairs. */
async function publishedRows({ uid }: SealedSession, original: string): Promise<number> {
  if (!existsSync(original)) return 0;
  const database = join(tmpFolder('copy'), 'copy.duckdb');
  for (const suffix of ['', '.wal']) {
    if (existsSync(original + suffix)) copyFileSync(original + suffix, database + suffix);
  }
  const known = await duckdbSql(database, `SELECT 1 FROM duckdb_tables() WHERE table_name = 'EXAM_ANSWERS'`);
  if (known.length === 0) return 0;
  const [row] = await duckdbSql(
    database,
    `SELECT count(*)::DOUBLE AS n FROM EXAM_ANSWERS WHERE SESSION_UID = '${uid}'`,
  );
  return Number(row?.n);
}

/** A target and staging of its own for each crash. */
function place(session: SealedSession, name: string) {
  const folder = join(session.folder, name.replaceAll(':', '-'));
  const sink = { database: join(folder, 'exams.duckdb'), staging: join(folder, 'export') };
  const report = join(folder, 'report.json');
  return { database: sink.database, folder, config: (attempt: number) => session.config(attempt, { sink, report }) };
}

/** What must not stay when all is done: DuckDB's log, and what it spilled. */
const isLeft = (name: string | Buffer) => /\.wal$|spill-/.test(String(name));

const of = (command: string) => crashPoints.filter((point) => point.startsWith(`${command}:`));
const publishing = [...of('publish'), ...of('verify'), ...of('report')];

/** What a loader finds that repeats an attempt whose loader died there. */
const repeatedLoad: Readonly<Record<string, number>> = { 'load:frozen': 0, 'load:recorded': 0 };

/** Where the transaction has been committed. */
const committed = publishing.slice(publishing.indexOf('publish:committed'));

describe('kill -9 at every named point', { timeout: 60_000 }, () => {
  test('promise 23: of a loader: the attempt goes on or is over, the next one exports everything once', {
    timeout: 60_000,
  }, async () => {
    const session = await sealedSession({ shards: 1 });
    const crashes = of('load').map(async (point) => {
      const { database, config } = place(session, point);
      const { exit } = await outcomeOf(startLoad(config(1), 0, { UNTRADEX_CRASH_AT: point }));
      expect([point, exit.signal]).toEqual([point, 'SIGKILL']);
      expect(await publishedRows(session, database)).toBe(0);
      const again = await outcomeOf(startLoad(config(1), 0));
      expect([point, again.exit.code]).toEqual([point, repeatedLoad[point] ?? 75]);
      const attempt = again.exit.code === 0 ? 1 : 2;
      if (attempt === 1) expect(again.last).toMatchObject({ kind: 'result', ok: true, shard: 0, rows: session.total });
      else expect(again.last).toMatchObject({ kind: 'problem', code: 'staging_ambiguous' });
      await loadAll(config(attempt));
      expect(await publish(config(attempt))).toMatchObject({ verified: true, rows: session.total, attempt });
      expect(await publishedRows(session, database)).toBe(session.total);
    });
    await Promise.all(crashes);
  });

  test('promise 28: of the publisher: all or nothing, and the next publisher reads which', {
    timeout: 60_000,
  }, async () => {
    const session = await sealedSession({ shards: 2 });
    const crashes = publishing.map(async (point) => {
      const { database, folder, config } = place(session, point);
      await loadAll(config(1));
      const { exit } = await outcomeOf(startPublish(config(1), { UNTRADEX_CRASH_AT: point }));
      expect([point, exit.signal]).toEqual([point, 'SIGKILL']);
      const already = committed.includes(point);
      // The same attempt, and one that has staged nothing: the control row is read before anything else.
      const next = config(already ? 2 : 1);
      expect([point, await publish(next)]).toEqual([
        point,
        expect.objectContaining({ verified: true, already, rows: session.total, root: session.root }),
      ]);
      expect(await publishedRows(session, database)).toBe(session.total);
      expect(readdirSync(folder, { recursive: true }).filter(isLeft)).toEqual([]);
    });
    await Promise.all(crashes);
  });

  test('and without being asked it is inert', async () => {
    const session = await sealedSession({ shards: 1 });
    const { exit } = await outcomeOf(startLoad(session.config(), 0, { UNTRADEX_CRASH_AT: 'load:nowhere' }));
    expect(exit.code).toBe(0);
  });
});

/**
 * An exporter that is killed at random moments, attempt after attempt, until it is done: at no moment is there half an
 * exam, and in the end there is one.
 */
test('kill -9 at random moments', { timeout: long ? 600_000 : 60_000 }, async ({ annotate }) => {
  const session = await sealedSession({ shards: 1, students: studentNames(200), rounds: 10, perRound: 5 });
  const seed = Number(process.env.UNTRADEX_SEED ?? Date.now() % 1_000_000);
  await annotate(`UNTRADEX_SEED=${seed}`);
  const random = randomFrom(seed);
  for (let round = 0; round < (long ? 40 : 1); round++) {
    const { database, folder, config } = place(session, `round-${round}`);
    let attempt = 1;
    let kills = 0;
    for (let done = false; !done; ) {
      const load = startLoad(config(attempt), 0);
      if (kills < 6 && random() < 0.5) {
        await killSoon(load, 200 * random());
        kills += 1;
      }
      const loaded = await outcomeOf(load);
      if (loaded.exit.code !== 0) {
        expect(loaded.exit.code ?? 75).toBe(75);
        attempt += 1;
        continue;
      }
      const publishing = startPublish(config(attempt));
      if (kills < 6) {
        await killSoon(publishing, 200 * random());
        kills += 1;
      }
      const { exit, last } = await outcomeOf(publishing);
      done = exit.code === 0;
      if (done) expect(last).toMatchObject({ verified: true, rows: session.total, root: session.root });
      else expect(exit.signal).toBe('SIGKILL');
      expect([0, session.total]).toContain(await publishedRows(session, database));
      if (!done && random() < 0.5) attempt += 1;
    }
    expect(await publishedRows(session, database)).toBe(session.total);
    expect(readdirSync(folder).filter(isLeft)).toEqual([]);
  }
});

/** Kills a program some ms after it has begun to work: starting Node takes longer than all the work. */
async function killSoon(program: ReturnType<typeof startLoad>, ms: number): Promise<void> {
  await program.line(({ kind }) => kind === 'progress' || kind === 'result', 'work', 20_000).catch(() => undefined);
  await sleep(ms);
  program.kill('SIGKILL');
}

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
