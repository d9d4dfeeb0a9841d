import { randomBytes } from 'node:crypto';
import { type AclUser, aclUsers } from '#queue/acl.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';
import { type DataFolder, makePrivateDir, readText, writeAtomic } from './datafolder.ts';

/** The secrets of one session. They live in DIR/keys, readable by their owner only, and are never logged. */
export interface SessionKeys {
  /** Checks receipts (PEM). Not a secret. */
  readonly receiptPublic: string;
  readonly redisPasswords: Readonly<Record<AclUser, string>>;
}

/** Makes the keys that are not there yet; those that are stay for the life of the session. */
export async function ensureKeys(folder: DataFolder): Promise<SessionKeys> {
  await makePrivateDir(folder.keys.dir);
  await ensure(folder.keys.token, randomSecret);
  if ((await readText(folder.keys.receiptPublic)) === null) {
    // The public half is written last: with it both are there.
    const pair = generateReceiptKeys();
    await writeAtomic(folder.keys.receipt, pair.privateKey);
    await writeAtomic(folder.keys.receiptPublic, pair.publicKey);
  }
  const passwords = await Promise.all(
    aclUsers.map(async (user) => [user, await ensure(folder.keys.redisPassword(user), randomSecret)] as const),
  );
  return {
    receiptPublic: (await readText(folder.keys.receiptPublic))!,
    redisPasswords: Object.fromEntries(passwords) as Record<AclUser, string>,
  };
}

function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}

async function ensure(path: string, make: () => string): Promise<string> {
  const known = await readText(path);
  if (known !== null) return known;
  const made = make();
  await writeAtomic(path, made);
  return made;
}
