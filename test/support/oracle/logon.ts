import { createCipheriv, createDecipheriv, createHash, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { TtcWriter } from './packets.ts';

// O5LOGON with the verifier of Oracle 12c, from the server's side. The server sends its half of the session key, encrypted
// under a hash of the password; the client sends the other half likewise, and the password under both halves.

const verifierType = 0x4815;
const verifierRounds = 4_096;
const keyRounds = 3;

/** What a server knows of one who logs on. Null as password: nobody of that name, and nothing will do. */
export function logon(password: string | null) {
  const salt = randomBytes(16);
  const keySalt = randomBytes(16);
  const ownHalf = randomBytes(32);
  const secret = password ?? randomBytes(16).toString('hex');
  const stretched = pbkdf2Sync(
    secret,
    Buffer.concat([salt, Buffer.from('AUTH_PBKDF2_SPEEDY_KEY')]),
    verifierRounds,
    64,
    'sha512',
  );
  const hash = createHash('sha512').update(stretched).update(salt).digest().subarray(0, 32);
  return {
    challenge(to: TtcWriter): void {
      pairs(to, [
        ['AUTH_SESSKEY', hex(encrypt(hash, ownHalf))],
        ['AUTH_VFR_DATA', hex(salt), verifierType],
        ['AUTH_PBKDF2_CSK_SALT', hex(keySalt)],
        ['AUTH_PBKDF2_VGEN_COUNT', String(verifierRounds)],
        ['AUTH_PBKDF2_SDER_COUNT', String(keyRounds)],
      ]);
    },
    /** The server's answer to a right password, null to a wrong one. */
    answer(given: ReadonlyMap<string, string>): string | null {
      const theirHalf = decrypt(hash, Buffer.from(given.get('AUTH_SESSKEY') ?? '', 'hex')).subarray(0, 32);
      const key = pbkdf2Sync(hex(Buffer.concat([theirHalf, ownHalf])), keySalt, keyRounds, 32, 'sha512');
      const padded = decrypt(key, Buffer.from(given.get('AUTH_PASSWORD') ?? '', 'hex'));
      const offered = padded.subarray(16, padded.length - (padded.at(-1) ?? 0));
      if (!offered.equals(Buffer.from(secret))) return null;
      return hex(encrypt(key, Buffer.concat([randomBytes(16), Buffer.from('SERVER_TO_CLIENT')])));
    },
  };
}

/** Keys and values, as a parameter message (8) holds them. */
export function pairs(to: TtcWriter, entries: readonly (readonly [key: string, value: string, flag?: number])[]): void {
  to.u8(8).ub(entries.length);
  for (const [key, value, flag = 0] of entries) to.text(key).text(value).ub(flag);
}

const noIv = Buffer.alloc(16);

function encrypt(key: Buffer, data: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-cbc', key, noIv).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

function decrypt(key: Buffer, data: Buffer): Buffer {
  const cipher = createDecipheriv('aes-256-cbc', key, noIv).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase();
}
