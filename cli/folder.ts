import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import { problem } from '#queue/problem.ts';

/** A session's data folder as the commands beside `run` see it: they read files, and `finalize` edits one. */
export interface Folder {
  readonly path: string;
  /** The session as its YAML in the folder says. */
  readonly session: ExamSession;
  readonly sessionFile: string;
  readonly statusFile: string;
  readonly tokenKeyFile: string;
}

/**
 * Opens the data folder of the session `name`.
 * @throws Problem `folder_empty` when no session lives there, `session_unknown` when it is another one's
 */
export function openFolder(dataDir: string, name: string | undefined): Folder {
  const path = resolve(dataDir);
  const sessionFile = join(path, 'session.yaml');
  if (!existsSync(sessionFile)) {
    const remedy = `give the folder of a session with --data, or start one: untradex run -f session.yaml --data ${dataDir}`;
    throw problem('folder_empty', `there is no session in ${path}`, remedy);
  }
  const session = readExamSession(readFileSync(sessionFile, 'utf8'));
  if (name !== undefined && session.metadata.name !== name) {
    const message = `the session in ${path} is ${session.metadata.name}, not ${name}`;
    throw problem('session_unknown', message, `name ${session.metadata.name}, or give another folder with --data`);
  }
  return {
    path,
    session,
    sessionFile,
    statusFile: join(path, 'status.json'),
    tokenKeyFile: join(path, 'keys', 'token.key'),
  };
}

/** Reads a text file that the user named. @throws Problem `file_missing` */
export function readGivenFile(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw problem('file_missing', `${path} cannot be read: ${(cause as Error).message}`, `give a file with ${option}`, {
      cause,
    });
  }
}
