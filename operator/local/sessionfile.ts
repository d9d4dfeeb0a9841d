import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parseDocument } from 'yaml';
import { isProblem, problem } from '#queue/problem.ts';
import { checkEdit, type Made } from '../edit.ts';
import { type ExamSession, readExamSession } from '../examsession.ts';
import { faultOf } from '../fault.ts';
import type { Fault } from '../platform.ts';
import { emptyRoster, type Roster, readRoster } from '../roster.ts';
import { type DataFolder, readJson, readText, writeAtomic, writeJson } from './datafolder.ts';
import type { IdentityFile, LocalIdentity } from './identityfile.ts';

/**
 * DIR/session.yaml is the API of a local session: whoever edits it, an edit that is admissible is in force within a
 * second; one that is not is told, and the session goes on as it was.
 */
export interface SessionFile {
  /** An edit that is not in force, and why. */
  readonly fault: Fault | null;
  readonly roster: Roster;
  close(): void;
}

/** How often the files are looked at, beside the system's notices, which some file systems never send. */
const pollMs = 1_000;

/**
 * Puts a session file (`run -f`) into the data folder, with its roster beside it, and gives the session that is wanted
 * then. A later edit by another program survives: a file that does not say `spec.phase` keeps the one in force, so
 * that starting again with the first file never takes back that the session was finalized.
 * @param file null to go on with the folder's own
 * @param known whom the folder is for; null for a new one
 * @throws Problem `session_invalid`, `session_unusable`, `session_missing`, `roster_invalid`, `roster_missing`, `edit_refused`
 */
export async function placeSession(
  folder: DataFolder,
  file: string | null,
  known: Pick<LocalIdentity, 'session' | 'shards'> | null,
): Promise<ExamSession> {
  if (file === null) return known?.session ?? readLocalSession(await needText(folder.session));
  const given = await needText(file);
  const wanted = readLocalSession(given);
  if (known !== null) checkEdit(known.session, wanted, madeOf(known));
  const roster = wanted.spec.roster?.file;
  if (roster !== undefined) {
    const csv = await needRoster(join(dirname(file), roster));
    readRoster(csv);
    await writeAtomic(folder.roster(roster), csv);
  }
  const own = await readText(folder.session);
  const text = own === null ? given : keepPhase(given, own);
  if (text !== own) await writeAtomic(folder.session, text);
  return readLocalSession(text);
}

/** There are no volumes whose class or size could be wrong. */
function madeOf({ shards }: Pick<LocalIdentity, 'shards'>): Made {
  return { shards: shards.length, queueVolumes: false, exportVolume: false };
}

/** A session that one machine can do: it has no Secrets and ConfigMaps, and what stands in some cannot be done without. */
function readLocalSession(text: string): ExamSession {
  const session = readExamSession(text);
  const { export: target, roster } = session.spec;
  if (target.postgres !== undefined && target.postgres.user === undefined) {
    throw problem(
      'session_unusable',
      'spec.export.postgres.user is needed on one machine: there is no Secret that could say it',
      'name the user, and the file with the password in spec.export.postgres.passwordFile, in place of credentialsSecret',
    );
  }
  if (roster?.configMap !== undefined) {
    throw problem(
      'session_unusable',
      'spec.roster.configMap cannot be read on one machine, and without it students would not get their extra time',
      'put the CSV beside the session file, and name it in spec.roster.file',
    );
  }
  return session;
}

async function needText(path: string): Promise<string> {
  const text = await readText(path);
  if (text !== null) return text;
  throw problem(
    'session_missing',
    `there is no session file ${path}`,
    'name one: untradex run -f session.yaml --data DIR',
  );
}

async function needRoster(path: string): Promise<string> {
  const csv = await readText(path);
  if (csv !== null) return csv;
  throw problem(
    'roster_missing',
    `there is no roster ${path}`,
    'put the file of spec.roster there, or leave the field out',
  );
}

/** The text to write: the given one, with the phase of our own when it does not say one. */
function keepPhase(given: string, own: string): string {
  const document = parseDocument(given);
  const phase: unknown = parseDocument(own).getIn(['spec', 'phase']);
  if (document.hasIn(['spec', 'phase']) || typeof phase !== 'string') return given;
  document.setIn(['spec', 'phase'], phase);
  return document.toString({ lineWidth: 0 });
}

/** Keeps the identity's session up to date with the file, until closed. */
export async function watchSession(
  folder: DataFolder,
  identity: IdentityFile,
  changed: () => void,
): Promise<SessionFile> {
  let fault: Fault | null = null;
  let roster: Roster = new Map((await readJson<[string, number][]>(folder.rosterInForce)) ?? []);
  let seen = '';
  let reading = false;
  let again = false;

  /** One look at a time; a notice that comes during one is followed by another. */
  async function look(): Promise<void> {
    again = true;
    if (reading) return;
    reading = true;
    try {
      while (again) {
        again = false;
        await lookOnce();
      }
    } finally {
      reading = false;
    }
  }

  async function lookOnce(): Promise<void> {
    const stamp = await stampOf(folder, identity.value.session);
    if (stamp === seen) return;
    await read();
    // As it was before reading: what was written meanwhile is seen at the next look.
    seen = stamp;
    changed();
  }

  async function read(): Promise<void> {
    try {
      const wanted = readLocalSession(await needText(folder.session));
      checkEdit(identity.value.session, wanted, madeOf(identity.value));
      const file = wanted.spec.roster?.file;
      const read = file === undefined ? emptyRoster : readRoster(await needRoster(folder.roster(file)));
      if (!isDeepStrictEqual(read, roster)) {
        await writeJson(folder.rosterInForce, [...read]);
        roster = read;
      }
      if (!isDeepStrictEqual(wanted, identity.value.session)) {
        await identity.update((now) => ({ ...now, generation: now.generation + 1, session: wanted }));
      }
      fault = null;
    } catch (error) {
      if (!isProblem(error)) throw error;
      fault = faultOf(error);
    }
  }

  const failed = (error: unknown) => {
    fault = faultOf(error);
    changed();
  };
  await look();
  const timer = setInterval(() => void look().catch(failed), pollMs);
  const watcher = watchFolder(folder, () => void look().catch(failed));
  return {
    get fault() {
      return fault;
    },
    get roster() {
      return roster;
    },
    close() {
      clearInterval(timer);
      watcher?.close();
    },
  };
}

/** Changes when the session or its roster was written. */
async function stampOf(folder: DataFolder, session: ExamSession): Promise<string> {
  const paths = [folder.session];
  const roster = session.spec.roster?.file;
  if (roster !== undefined) paths.push(folder.roster(roster));
  const stamps = paths.map(async (path) => {
    const found = await stat(path, { bigint: true }).catch(() => null);
    return found === null ? 'none' : `${found.mtimeNs}:${found.size}:${found.ino}`;
  });
  return (await Promise.all(stamps)).join(' ');
}

/** Notices of the system where it gives them; the poll does without. */
function watchFolder(folder: DataFolder, look: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder.root, (_event, name) => {
      if (name === null || name === basename(folder.session) || name.endsWith('.csv')) look();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
