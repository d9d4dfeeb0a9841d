import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DataFolder, dataFolder } from '#operator/local/datafolder.ts';
import { endOrphans, openChildrenFile } from '#operator/local/orphans.ts';
import { startOf } from '#operator/local/processes.ts';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { redisConfigLines } from '#queue/redisconfig.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { freePort } from '#test/support/freeport.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

function start(command: string, args: string[]) {
  const child = spawn(command, args, { stdio: 'ignore' });
  onScopeEnd(() => void child.kill('SIGKILL'));
  return child.pid!;
}

const sleeper = () => start(process.execPath, ['--eval', 'setInterval(() => {}, 1000)']);

/** One that a SIGTERM does not end. Resolves when it no longer would. */
async function stubborn(folder: DataFolder): Promise<number> {
  const mark = join(folder.root, 'deaf');
  const program = `process.on('SIGTERM', () => {}); require('fs').writeFileSync(${JSON.stringify(mark)}, ''); setInterval(() => {}, 1000)`;
  const pid = start(process.execPath, ['--eval', program]);
  await until(() => readFileSync(mark) !== null, { what: 'a process that is deaf to SIGTERM' });
  return pid;
}

async function redisOn(folder: DataFolder): Promise<number> {
  const { config, dir } = folder.redis(0);
  mkdirSync(dir, { recursive: true });
  const lines = redisConfigLines({ dir, port: await freePort(), bind: '127.0.0.1', maxmemoryBytes: 1e8 });
  writeFileSync(config, `${lines.join('\n')}\nset-proc-title no\n`);
  const pid = start((await findRedisBinary()).path, [config]);
  await until(() => readFileSync(join(dir, 'appendonlydir', 'appendonly.aof.manifest')), { what: 'Redis to run' });
  return pid;
}

const isAlive = async (pid: number) => (await startOf(pid)) !== null;

describe('what an earlier run left behind', () => {
  test('is ended when it was recorded, also when it does not want to', async () => {
    const folder = dataFolder(tmpFolder('orphans'));
    const children = openChildrenFile(folder);
    const pids = [sleeper(), await stubborn(folder)];
    for (const pid of pids) await children.add(pid, 'gateway');
    const ended = await endOrphans(folder);
    expect(ended.sort()).toEqual(pids.map((pid) => `gateway (pid ${pid})`).sort());
    for (const pid of pids) expect(await isAlive(pid)).toBe(false);
    expect(JSON.parse(readFileSync(folder.children, 'utf8'))).toEqual([]);
  });

  test('is left alone when the pid now is another process', async () => {
    const folder = dataFolder(tmpFolder('orphans'));
    const pid = sleeper();
    const start = (await startOf(pid))!;
    writeFileSync(folder.children, JSON.stringify([{ pid, start: `${start}1`, what: 'redis 0' }]));
    expect(await endOrphans(folder)).toEqual([]);
    expect(await isAlive(pid)).toBe(true);
  });

  test('is found by its configuration file when there was no time to record it', async () => {
    const ours = dataFolder(tmpFolder('orphans'));
    const others = dataFolder(tmpFolder('orphans'));
    const pids = [await redisOn(ours), await redisOn(others)];
    const reader = start('tail', ['-f', ours.redis(0).config]);
    const ended = await endOrphans(ours);
    expect(ended).toHaveLength(1);
    expect(await isAlive(pids[0]!)).toBe(false);
    expect(await isAlive(pids[1]!)).toBe(true);
    expect(await isAlive(reader)).toBe(true);
  });

  test('of a folder whose name begins like ours is not ours', async () => {
    const root = tmpFolder('orphans');
    const ours = dataFolder(join(root, 'data'));
    mkdirSync(ours.root);
    const pid = await redisOn(dataFolder(join(root, 'data-2')));
    expect(await endOrphans(ours)).toEqual([]);
    expect(await isAlive(pid)).toBe(true);
  });
});
