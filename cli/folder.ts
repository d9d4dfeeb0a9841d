import { readFileSync } from 'node:fs';
import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import { dataFolder, readText } from '#operator/local/datafolder.ts';
import { type LocalIdentity, readIdentity } from '#operator/local/identityfile.ts';
import { problem } from '#queue/problem.ts';

/** A session's data folder as the commands beside `run` see it: they read files, and `finalize` edits one. */
export interface Folder {
  readonly at: ReturnType<typeof dataFolder>;
  /** The session in force; before the first run the one that its YAML describes. */
  readonly session: ExamSession;
  /** Null before the first run. */
  readonly identity: LocalIdentity | null;
}

/**
 * Opens the data folder of the session `name` (whichever it is when undefined).
 * @throws Problem `folder_empty` when no session lives there, `session_unknown` when it is another one's
 */
export async function openFolder(dataDir: string, name: string | undefined): Promise<Folder> {
  const at = dataFolder(dataDir);
  const identity = await readIdentity(at);
  const session = identity?.session ?? readExamSession((await readText(at.session)) ?? noSession(at.root));
  if (name !== undefined && session.metadata.name !== name) {
    const message = `the session in ${at.root} is ${session.metadata.name}, not ${name}`;
    throw problem('session_unknown', message, `name ${session.metadata.name}, or give another folder with --data`);
  }
  return { at, session, identity };
}

function noSession(root: string): never {
  const remedy = `give the folder of a session with --data, or start one: untradex run -f session.yaml --data ${root}`;
  throw problem('folder_empty', `there is no session in ${root}`, remedy);
}

/** Reads a text file that the user named. @throws Problem `file_missing` */
export function readGivenFile(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const message = `${path} cannot be read: ${(cause as Error).message}`;
    throw problem('file_missing', message, `give a file with ${option}`, { cause });
  }
}
