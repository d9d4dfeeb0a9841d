import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readExamSession } from '#operator/examsession.ts';
import { type DataFolder, dataFolder } from '#operator/local/datafolder.ts';
import { openIdentityFile, readIdentity } from '#operator/local/identityfile.ts';
import { placeSession, type SessionFile, watchSession } from '#operator/local/sessionfile.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

const yaml = (spec: string, name = 'algebra') => `# our exam
apiVersion: untradex.io/v1alpha1
kind: ExamSession
metadata: {name: ${name}}
spec:
  students: 40
${spec}`;

function folders() {
  const root = tmpFolder('sessionfile');
  const folder = dataFolder(join(root, 'data'));
  mkdirSync(folder.root);
  const file = join(root, 'session.yaml');
  return { folder, file, roster: join(root, 'extra.csv') };
}

/** As an editor or `finalize` writes it. */
function edit(folder: DataFolder, text: string): void {
  writeFileSync(`${folder.session}.new`, text);
  renameSync(`${folder.session}.new`, folder.session);
}

async function watched(
  folder: DataFolder,
): Promise<{ file: SessionFile; session: () => ReturnType<typeof readExamSession>; generation: () => number }> {
  const identity = await openIdentityFile(
    folder,
    await readIdentity(folder),
    readExamSession(readFileSync(folder.session, 'utf8')),
  );
  const file = await watchSession(folder, identity, () => {});
  onScopeEnd(() => file.close());
  return { file, session: () => identity.value.session, generation: () => identity.value.generation };
}

describe('run -f', () => {
  test('copies the session, with its comments and its roster', async () => {
    const { folder, file, roster } = folders();
    writeFileSync(file, yaml('  closesAt: 2026-05-04T10:00:00Z\n  roster: {file: extra.csv}\n'));
    writeFileSync(roster, 'ada,15\n');
    const session = await placeSession(folder, file, null);
    expect(session.spec.roster?.file).toBe('extra.csv');
    expect(readFileSync(folder.session, 'utf8')).toContain('# our exam');
    expect(readFileSync(folder.roster('extra.csv'), 'utf8')).toBe('ada,15\n');
  });

  test('a second time brings edits, and does not take back what finalize has written', async () => {
    const { folder, file } = folders();
    writeFileSync(file, yaml(''));
    const known = await placeSession(folder, file, null);
    edit(folder, yaml('  phase: Finalizing\n'));
    writeFileSync(file, yaml('  graceSeconds: 3\n'));
    expect((await placeSession(folder, file, { session: known, shards: [] })).spec).toMatchObject({
      phase: 'Finalizing',
      graceSeconds: 3,
    });
    expect(readFileSync(folder.session, 'utf8')).toContain('# our exam');
    writeFileSync(file, yaml('  phase: Active\n'));
    expect((await placeSession(folder, file, { session: known, shards: [] })).spec.phase).toBe('Active');
  });

  test('is refused for another session, another exam, and a missing or broken file', async () => {
    const { folder, file } = folders();
    writeFileSync(file, yaml(''));
    const known = await placeSession(folder, file, null);
    const refused = (text: string, code: string, says: RegExp) => {
      writeFileSync(file, text);
      return expect(placeSession(folder, file, { session: known, shards: [] })).rejects.toMatchObject({
        code,
        message: expect.stringMatching(says),
      });
    };
    await refused(
      yaml('', 'geometry'),
      'edit_refused',
      /metadata.name cannot change: it is algebra.*geometry; spec.exam/,
    );
    await refused(yaml('  rehearsal: true\n'), 'edit_refused', /spec.rehearsal cannot change/);
    await refused(yaml('  exam: other\n'), 'edit_refused', /spec.exam cannot change/);
    await refused(yaml('  graceSeconds: -1\n'), 'session_invalid', /spec.graceSeconds/);
    await refused(
      yaml('  export: {postgres: {host: db, database: exams, credentialsSecret: account}}\n'),
      'session_unusable',
      /spec.export.postgres.user is needed on one machine/,
    );
    await refused(
      yaml('  closesAt: 2026-05-04T10:00:00Z\n  roster: {configMap: {name: extra-time}}\n'),
      'session_unusable',
      /spec.roster.configMap cannot be read on one machine/,
    );
    await refused(
      yaml('  closesAt: 2026-05-04T10:00:00Z\n  roster: {file: extra.csv}\n'),
      'roster_missing',
      /extra.csv/,
    );
    await expect(placeSession(folder, `${file}.none`, { session: known, shards: [] })).rejects.toMatchObject({
      code: 'session_missing',
    });
    expect(readExamSession(readFileSync(folder.session, 'utf8'))).toEqual(known);
  });

  test('is refused when it says another number of shards than there are', async () => {
    const { folder, file } = folders();
    writeFileSync(file, yaml(''));
    const session = await placeSession(folder, file, null);
    const shard = { incarnation: 'i', born: true, port: 1, maxmemoryBytes: 1 };
    const known = { session, shards: [0, 1].map((number) => ({ ...shard, shard: number })) };
    writeFileSync(file, yaml('  redis: {shards: 3}\n'));
    await expect(placeSession(folder, file, known)).rejects.toMatchObject({
      code: 'edit_refused',
      message: expect.stringMatching(/spec.redis.shards must be the number of shards that exist \(2\)/),
    });
    writeFileSync(file, yaml('  redis: {shards: 2}\n'));
    expect((await placeSession(folder, file, known)).spec.redis.shards).toBe(2);
  });

  test('left out goes on with what was in force, though the file is broken by now', async () => {
    const { folder, file } = folders();
    writeFileSync(file, yaml(''));
    const known = await placeSession(folder, file, null);
    edit(folder, 'broken: [');
    expect(await placeSession(folder, null, { session: known, shards: [] })).toBe(known);
    await expect(placeSession(dataFolder(tmpFolder('empty')), null, null)).rejects.toMatchObject({
      code: 'session_missing',
    });
  });
});

describe('an edit of the session in the folder', () => {
  test('is in force within moments, and counted', async () => {
    const { folder } = folders();
    edit(folder, yaml(''));
    const { file, session, generation } = await watched(folder);
    expect([session().spec.phase, generation()]).toEqual(['Active', 1]);
    edit(folder, yaml('  phase: Finalizing\n'));
    await until(() => session().spec.phase === 'Finalizing', { what: 'the edit' });
    expect([generation(), file.fault]).toEqual([2, null]);
  });

  test('is never missed, however closely it follows another', async () => {
    const { folder } = folders();
    edit(folder, yaml(''));
    const { session } = await watched(folder);
    for (let round = 1; round <= 40; round++) {
      edit(folder, yaml(`  graceSeconds: ${round}\n`));
      // At a different moment of the reading each time.
      await new Promise((resolve) => setTimeout(resolve, round % 5));
      edit(folder, yaml(`  graceSeconds: ${1000 + round}\n`));
      await until(() => session().spec.graceSeconds === 1000 + round, { what: `edit ${round}` });
    }
  });

  test('that only changes comments is none', async () => {
    const { folder } = folders();
    edit(folder, yaml(''));
    const { generation, session } = await watched(folder);
    edit(folder, `# hello\n${yaml('')}`);
    edit(folder, yaml('  graceSeconds: 3\n'));
    await until(() => session().spec.graceSeconds === 3, { what: 'the edit' });
    expect(generation()).toBe(2);
  });

  test.each([
    ['is not valid', yaml('  studens: 3\n'), 'session_invalid'],
    ['changes what cannot change', yaml('  exam: other\n'), 'edit_refused'],
    [
      'names a roster that is not there',
      yaml('  closesAt: 2026-05-04T10:00:00Z\n  roster: {file: none.csv}\n'),
      'roster_missing',
    ],
  ])('that %s is told, and is not in force', async (_, text, code) => {
    const { folder } = folders();
    edit(folder, yaml(''));
    const { file, session, generation } = await watched(folder);
    edit(folder, text);
    await until(() => file.fault?.code === code, { what: code });
    expect(session().spec).toEqual(readExamSession(yaml('')).spec);
    edit(folder, yaml('  graceSeconds: 4\n'));
    await until(() => session().spec.graceSeconds === 4, { what: 'the mended edit' });
    expect([file.fault, generation()]).toEqual([null, 2]);
  });

  test("of the roster alone is seen too; a broken one takes nobody's time away, also after a new start", async () => {
    const { folder } = folders();
    edit(folder, yaml('  closesAt: 2026-05-04T10:00:00Z\n  roster: {file: extra.csv}\n'));
    const path = folder.roster('extra.csv');
    writeFileSync(path, 'ada,15\n');
    const first = await watched(folder);
    expect([...first.file.roster]).toEqual([['ada', 15]]);
    writeFileSync(path, 'ada,15\nbob,30\n');
    await until(() => first.file.roster.size === 2, { what: 'the new roster' });
    writeFileSync(path, 'ada,fifteen\n');
    await until(() => first.file.fault?.code === 'roster_invalid', { what: 'the fault' });
    expect(first.file.roster.size).toBe(2);
    const second = await watched(folder);
    expect(second.file.roster.size).toBe(2);
    expect(second.file.fault?.code).toBe('roster_invalid');
  });
});
