import { isDeepStrictEqual, promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { isProblem, problem } from '#queue/problem.ts';
import { checkEdit, type Made } from '../edit.ts';
import { type ExamSession, readExamSession } from '../examsession.ts';
import { faultOf } from '../fault.ts';
import type { Fault } from '../platform.ts';
import { emptyRoster, type Roster, readRoster } from '../roster.ts';
import type { SessionStatus } from '../status.ts';
import { objectNames, type SessionRef } from './names.ts';
import { partMetadata } from './resources/part.ts';
import type { Api, KubeObject } from './runtime/api.ts';
import { sessionOfObject } from './session.ts';

/**
 * The last admissible session and roster, kept in a ConfigMap before anything is done by them. So an edit that is not
 * admissible, or a roster that somebody removed in the middle of an exam, changes nothing, also for an operator that
 * has just been started: nobody's extra minutes are gone because a file cannot be read.
 */
export interface InForce {
  /**
   * What is in force, given the session as it was just read. The roster is looked at again every few seconds.
   * @throws Problem of the API, which is no fault of the session
   */
  read(live: KubeObject): Promise<Wish>;
}

export interface Wish {
  /** Null: no admissible session was ever seen. */
  readonly session: ExamSession | null;
  readonly roster: Roster;
  /** Why the session as it stands is not in force. */
  readonly fault: Fault | null;
}

interface Kept {
  readonly object: KubeObject;
  readonly session: ExamSession | null;
  readonly csv: string | null;
  readonly roster: Roster;
}

const zip = promisify(gzip);
const unzip = promisify(gunzip);
const sessionKey = 'session.json';
/** Compressed: the roster's own ConfigMap may be as full as they can be. */
const rosterKey = 'roster.csv.gz';
const rosterEveryMs = 10_000;
/** What a ConfigMap holds; a bomb of zeros that somebody put there is none. */
const mostRosterBytes = 4 * 1_048_576;

/** Nothing is read or made before the first `read`. */
export function createInForce(api: Api, ref: SessionRef, now = Date.now): InForce {
  const at = { apiVersion: 'v1', kind: 'ConfigMap', namespace: ref.namespace, name: objectNames(ref).inForce } as const;
  let kept: Kept | null = null;
  let looked = false;
  let wish: Wish | null = null;
  let seen: { readonly generation: number | undefined; readonly at: number } | null = null;

  async function read(live: KubeObject): Promise<Wish> {
    if (!looked) {
      kept = await load(await api.get(at));
      looked = true;
    }
    const { generation } = live.metadata;
    const isNew = wish === null || seen?.generation !== generation;
    const withRoster = (live.spec as { roster?: unknown } | undefined)?.roster !== undefined;
    if (wish !== null && !isNew && !(withRoster && now() - seen!.at >= rosterEveryMs)) return wish;
    const next = await judge(live);
    wish = next;
    seen = { generation, at: now() };
    return next;
  }

  async function judge(live: KubeObject): Promise<Wish> {
    try {
      const session = sessionOfObject(live);
      if (kept !== null && kept.session !== null) checkEdit(kept.session, session, madeOf(ref, live));
      const { csv, roster, fault } = await rosterOf(session);
      await keep(live, session, csv, roster);
      return { session, roster, fault };
    } catch (error) {
      return { session: kept?.session ?? null, roster: kept?.roster ?? emptyRoster, fault: mendable(error) };
    }
  }

  /** When it cannot be read, the one before stays, and the rest of the session is in force: it can still be finalized. */
  async function rosterOf(session: ExamSession): Promise<Pick<Kept, 'csv' | 'roster'> & { fault: Fault | null }> {
    try {
      const csv = await rosterText(session);
      const roster = csv === null ? emptyRoster : csv === kept?.csv ? kept.roster : readRoster(csv);
      return { csv, roster, fault: null };
    } catch (error) {
      const fault = mendable(error);
      if (kept?.session == null) throw error;
      return { csv: kept.csv, roster: kept.roster, fault };
    }
  }

  async function rosterText({ spec }: ExamSession): Promise<string | null> {
    const source = spec.roster?.configMap;
    if (source === undefined) return null;
    const { name, key } = source;
    const object = await api.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: ref.namespace, name });
    const csv = (object?.data as Record<string, string> | undefined)?.[key];
    if (csv !== undefined) return csv;
    const what = object === null ? `there is no ConfigMap ${name}` : `the ConfigMap ${name} has no key ${key}`;
    throw problem(
      'roster_missing',
      `${what} in ${ref.namespace}`,
      `make it: kubectl create configmap ${name} --from-file=${key}`,
    );
  }

  /** On the cluster before in memory. A conflict ends the pass; the next one reads what is there. */
  async function keep(owner: KubeObject, session: ExamSession, csv: string | null, roster: Roster): Promise<void> {
    if (kept !== null && kept.csv === csv && isDeepStrictEqual(kept.session, session)) return;
    const data = { [sessionKey]: JSON.stringify(session) };
    const binaryData = csv === null ? {} : { [rosterKey]: (await zip(csv)).toString('base64') };
    looked = false;
    const object = await (kept === null
      ? api.create({ ...kindOf(at), metadata: partMetadata({ ref, owner }, 'session', at.name), data, binaryData })
      : api.update({ ...kept.object, data, binaryData }));
    kept = { object, session, csv, roster };
    looked = true;
  }

  return { read };
}

/** As the status tells it, which is also what the API server's rules look at. */
function madeOf({ uid }: SessionRef, live: KubeObject): Made {
  const status = live.status as Partial<SessionStatus> | undefined;
  const isBegun = status?.uid === uid && status.phase !== 'Pending';
  const shards = isBegun ? (status.plan?.shards ?? 0) : 0;
  return { shards, queueVolumes: isBegun, exportVolume: isBegun && status.sealing != null };
}

/** @throws the error when it is none that a person must mend: then it is tried again */
function mendable(error: unknown): Fault {
  if (isProblem(error) && faultCodes.has(error.code)) return faultOf(error);
  throw error;
}

const faultCodes = new Set([
  ...['session_invalid', 'session_unusable', 'edit_refused'],
  ...['roster_missing', 'roster_invalid'],
]);

function kindOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }) {
  return { apiVersion, kind };
}

/** What does not read as this version writes it (an older one reads what a newer one wrote) counts as not there. */
async function load(object: KubeObject | null): Promise<Kept | null> {
  if (object === null) return null;
  const data = object.data as Record<string, string> | undefined;
  const binary = object.binaryData as Record<string, string> | undefined;
  const session = readable(() => readExamSession(data?.[sessionKey] ?? ''));
  const packed = binary?.[rosterKey];
  const csv = packed === undefined ? null : await unpacked(packed);
  return { object, session, csv, roster: (csv === null ? null : readable(() => readRoster(csv))) ?? emptyRoster };
}

function readable<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (isProblem(error)) return null;
    throw error;
  }
}

async function unpacked(base64: string): Promise<string | null> {
  try {
    return (await unzip(Buffer.from(base64, 'base64'), { maxOutputLength: mostRosterBytes })).toString('utf8');
  } catch {
    return null;
  }
}
