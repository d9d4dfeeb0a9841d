import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { long } from '#test/support/long.ts';
import { startProxy } from '#test/support/proxy.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { check, type Ledger } from './checker.ts';
import { openClassroom } from './classroom.ts';
import { type Directed, direct, type Killed } from './director.ts';
import { readSealedLogs, readTable } from './evidence.ts';
import { type Exam, makeExam, nothingLeft } from './exam.ts';
import { createRecorder, type Recorder } from './recorder.ts';
import { cast, countKills, makeSchedule, type Schedule, scenes, victims } from './schedule.ts';

/**
 * Histories of the whole program: students write through a network that cuts, while every kind of process is killed in
 * every phase, `run` itself too; then what the students' side saw is compared with the table and the sealed log.
 *
 * UNTRADEX_SEED replays a schedule. A history of `npm run test:long` is replayed by its own seed and UNTRADEX_LONG=1.
 */
const firstSeed = process.env.UNTRADEX_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.UNTRADEX_SEED);
const size = long ? 'long' : 'short';
const histories = long ? 10 : 1;
const leastKills = long ? 200 : 12;
/** Far fewer than are acknowledged in any history that was worth playing. */
const leastAcknowledged = 100;

const shownFaults = 20;
const historyWithinMs = 400_000;
const endWithinMs = 120_000;

const kills: Killed[] = [];

describe('the whole program, under kills', () => {
  for (let i = 0; i < histories; i++) {
    const seed = firstSeed + i;
    test(`keeps the promise in history ${i + 1} of ${histories}`, { timeout: historyWithinMs }, async () => {
      kills.push(...(await playHistory(makeSchedule(seed, size))));
    });
  }

  test('was killed often enough, every kind of process, and in every phase', () => {
    expect(kills.length).toBeGreaterThanOrEqual(leastKills);
    expect(new Set(kills.map((kill) => kill.victim))).toEqual(new Set(victims));
    for (const scene of scenes) {
      const killed = new Set(kills.filter((kill) => kill.scene === scene).map((kill) => kill.victim));
      if (long) expect(killed, `killed in ${scene}`).toEqual(new Set(cast[scene]));
      else expect(killed.size, `kinds killed in ${scene}`).toBeGreaterThan(0);
    }
  });
});

async function playHistory(schedule: Schedule): Promise<readonly Killed[]> {
  const { seed, students, gateways, shards } = schedule;
  console.log(
    `UNTRADEX_SEED=${seed}${long ? ' UNTRADEX_LONG=1' : ''}: ${countKills(schedule)} kills, ` +
      `${students} students, ${gateways} gateways, ${shards} shards`,
  );
  const folder = tmpFolder('history');
  writeFileSync(join(folder, 'schedule.json'), JSON.stringify(schedule, null, 1));
  const exam = await makeExam({ folder, students, gateways, shards });
  const proxy = await startProxy({ port: exam.port });
  const recorder = createRecorder();
  const url = `http://127.0.0.1:${proxy.port}/exam`;
  const classroom = openClassroom({ seed, students, folder, url, token: exam.token, recorder });
  let directed: Directed;
  try {
    exam.start(true);
    directed = await direct(schedule, exam, proxy);
    await until(() => exam.program.exit, { what: 'the end of the session', timeoutMs: endWithinMs });
  } finally {
    await classroom.leave();
    writeFileSync(join(folder, 'ledger.json'), JSON.stringify(recorder, null, 1));
  }
  tell(directed, recorder.ledger);
  await nothingLeft(exam);
  await judge(exam, folder, recorder);
  return directed.kills;
}

/** Looks at what is left: the exit code, the last status, the table, the log. */
async function judge(exam: Exam, folder: string, { ledger, alarms, verified }: Recorder): Promise<void> {
  const { status, program } = exam;
  expect(program.exit, program.stderr.slice(-2_000)).toEqual({ code: 0, signal: null });
  expect(status?.phase).toBe('Completed');
  const { uid: session, redis, receiptPublicKey: publicKey } = status!;
  const rows = await readTable(join(exam.dataDir, 'exams.duckdb'), 'EXAM_ANSWERS');
  const log = await readSealedLogs(exam.dataDir, folder);
  const faults = check({ session, ledger, rows, log, root: redis.root ?? '', publicKey });
  expect(faults.slice(0, shownFaults), `${faults.length} faults`).toEqual([]);
  expect(alarms).toEqual([]);
  expect(new Set(verified)).toEqual(new Set([redis.root]));
  expect(ledger.acknowledged.length).toBeGreaterThan(leastAcknowledged);
  expect(status?.events.exported).toBe(rows.length);
}

function tell({ kills: done, missed }: Directed, ledger: Ledger): void {
  const list = done.map(({ victim, phase, atMs }) => `${victim}@${phase} ${(atMs / 1_000).toFixed(1)}s`);
  const refused = new Set(ledger.refused.map(({ writer, seq }) => `${writer} ${seq}`)).size;
  console.log(
    `killed ${list.join(', ')}; ${missed.length} acts came too late. ` +
      `${ledger.sent.length} sent, ${ledger.acknowledged.length} acknowledged, ${refused} refused, ` +
      `${ledger.receipts.length} receipts`,
  );
}
