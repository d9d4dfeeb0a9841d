import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { problem } from '#queue/problem.ts';
import { type ExamSession, readExamSession } from '../examsession.ts';
import { type DataFolder, readJson, writeJson } from './datafolder.ts';

/** DIR/identity.json: what must be known before, and in spite of, everything else in the folder. */
export interface LocalIdentity {
  readonly format: 1;
  readonly uid: string;
  readonly name: string;
  readonly createdAt: string;
  /** Where students connect; kept, so that a new run is found at the same address. */
  readonly gatewayPort: number;
  /** The last admissible session, and how many of them there were. */
  readonly generation: number;
  readonly session: ExamSession;
  readonly shards: readonly LocalShard[];
}

export interface LocalShard {
  readonly shard: number;
  readonly incarnation: string;
  readonly born: boolean;
  readonly port: number;
  readonly maxmemoryBytes: number;
}

export interface IdentityFile {
  readonly value: LocalIdentity;
  /** Changes it, on disk before in memory. One change at a time. */
  update(change: (identity: LocalIdentity) => LocalIdentity): Promise<void>;
}

/**
 * Who the folder is for; null for a new one.
 * @throws Problem `folder_format`; `folder_without_identity` when there are a session's data, but not whose
 */
export async function readIdentity(folder: DataFolder): Promise<LocalIdentity | null> {
  const known = await readJson<LocalIdentity>(folder.identity);
  if (known === null) {
    const left = [folder.keys.dir, folder.redisDir, folder.export.dir, folder.status].filter((path) =>
      existsSync(path),
    );
    if (left.length > 0) throw withoutIdentity(folder, left);
    return null;
  }
  if (known.format === 1) {
    // An older version may have written it: fields that came later get their defaults.
    return { ...known, session: readExamSession(JSON.stringify(known.session)) };
  }
  throw problem(
    'folder_format',
    `${folder.identity} has the format ${known.format}, which this version does not know`,
    'use the version of untradex that made the folder',
  );
}

function withoutIdentity(folder: DataFolder, left: readonly string[]) {
  return problem(
    'folder_without_identity',
    `${folder.root} has data of a session (${left.join(', ')}), but no identity.json: nobody knows whose answers they are`,
    'put the identity.json back that belongs to them, or name an empty folder with --data',
  );
}

/**
 * Opens the folder's identity, or makes one for a session that is new here.
 * @param known what {@link readIdentity} gave
 */
export async function openIdentityFile(
  folder: DataFolder,
  known: LocalIdentity | null,
  session: ExamSession,
): Promise<IdentityFile> {
  let value = known ?? newIdentity(session);
  if (known === null) await writeJson(folder.identity, value);
  let changing: Promise<void> = Promise.resolve();
  return {
    get value() {
      return value;
    },
    update(change) {
      const next = changing
        .catch(() => undefined)
        .then(async () => {
          const changed = change(value);
          if (changed === value) return;
          await writeJson(folder.identity, changed);
          value = changed;
        });
      changing = next;
      return next;
    },
  };
}

function newIdentity(session: ExamSession): LocalIdentity {
  return {
    format: 1,
    uid: randomUUID(),
    name: session.metadata.name,
    createdAt: new Date().toISOString(),
    gatewayPort: 0,
    generation: 1,
    session,
    shards: [],
  };
}
