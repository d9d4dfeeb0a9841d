import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { configText, readConfigJson, readNamedFile } from '#queue/configfile.ts';
import { problem } from '#queue/problem.ts';
import type { Pids } from './chaos.ts';
import { type Folder, readGivenFile } from './folder.ts';
import { livePids } from './livepids.ts';
import { readStatus } from './statusfile.ts';
import { createMint, openMint, type TokenMint } from './studenttoken.ts';

/** The running session that a rehearsal plays against. */
export interface RehearsalTarget {
  /** Where the students connect. */
  readonly url: string;
  /** Students that the session is planned for. */
  readonly students: number;
  readonly mint: TokenMint;
  /** Checks the receipts (PEM). */
  readonly receiptPublicKey: string;
  /** Processes that may be killed; null where there are none of this machine. */
  readonly pids: (() => Promise<Pids>) | null;
}

/**
 * The session of a data folder. Gateways refuse too: the tokens say `rehearsal`, which only a rehearsal believes.
 * @param url when given, the session need not be seen to be running
 * @throws Problem `not_a_rehearsal`, `not_active`
 */
export async function folderTarget(folder: Folder, url: string | undefined): Promise<RehearsalTarget> {
  if (!folder.session.spec.rehearsal) throw notARehearsal(folder.session.metadata.name);
  return {
    url: url ?? (await urlOf(folder)),
    students: folder.session.spec.students,
    mint: openMint(folder),
    receiptPublicKey: readGivenFile(folder.at.keys.receiptPublic, '--data'),
    pids: () => livePids(folder),
  };
}

async function urlOf(folder: Folder): Promise<string> {
  const status = await readStatus(folder);
  const runs = (await livePids(folder)).gateway.length > 0;
  if (runs && status?.phase === 'Active' && status.url !== null) return status.url;
  throw problem(
    'not_active',
    `${folder.session.metadata.name} does not take answers: it is ${runs ? status?.phase : 'not running'}`,
    `start it with \`untradex run --data ${folder.at.root}\` and wait for Active`,
  );
}

/** The file that a Job within a cluster is given. Relative paths begin at its own folder. */
const targetFile = z.strictObject({
  name: configText,
  rehearsal: z.boolean(),
  url: z.url({ protocol: /^https?$/ }),
  students: z.int().min(1),
  /** As the gateways' tokens are checked: `aud`, and `iss` where one is asked for. */
  audience: configText,
  issuer: configText.nullish(),
  /** The session's signing key (base64url). */
  tokenKeyFile: configText,
  receiptPublicKey: configText,
});

/** @throws Problem `target_invalid` that lists everything that is wrong; `not_a_rehearsal` */
export function fileTarget(path: string, url: string | undefined): RehearsalTarget {
  const wrong: string[] = [];
  const { data, error } = targetFile.safeParse(readConfigJson(path, wrong));
  if (wrong.length === 0)
    wrong.push(...(error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const key = data ? readNamedFile('tokenKeyFile', resolve(dirname(path), data.tokenKeyFile), wrong) : '';
  if (data === undefined || wrong.length > 0) {
    const list = wrong.map((line) => `  ${line}`).join('\n');
    throw problem('target_invalid', `${path} does not describe a session:\n${list}`, 'mend the named fields and files');
  }
  if (!data.rehearsal) throw notARehearsal(data.name);
  const { audience, issuer, rehearsal, students, receiptPublicKey } = data;
  const mint = createMint(Buffer.from(key, 'base64url'), { audience, issuer: issuer ?? undefined, rehearsal });
  return { url: url ?? data.url, students, mint, receiptPublicKey, pids: null };
}

export function notARehearsal(name: string) {
  return problem(
    'not_a_rehearsal',
    `${name} is a real exam: its spec.rehearsal is not true`,
    'rehearse with a session of its own that has spec.rehearsal: true; its rows go to a table with the suffix _REHEARSAL',
  );
}
