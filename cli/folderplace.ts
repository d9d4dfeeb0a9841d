import { isFolderInUse } from '#operator/local/lock.ts';
import { openFolder } from './folder.ts';
import type { Place } from './place.ts';
import { setSessionField } from './sessionfile.ts';
import { followStatus, readStatus } from './statusfile.ts';
import { openMint } from './studenttoken.ts';

/** A session of this machine: its files are what the commands read, and `finalize` edits one. */
export async function openFolderPlace(dataDir: string, name: string | undefined): Promise<Place> {
  const folder = await openFolder(dataDir, name);
  const { at, session } = folder;
  return {
    session,
    words: `${session.metadata.name} --data ${at.root}`,
    readStatus: () => readStatus(folder),
    followStatus: (signal) => followStatus(folder, signal),
    finalize: () => setSessionField(at.session, ['spec', 'phase'], 'Finalizing'),
    mint: async () => openMint(folder),
    idle: () => (isFolderInUse(at) ? null : `nobody runs this session: start \`untradex run --data ${at.root}\``),
  };
}
