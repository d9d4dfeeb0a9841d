import { readFileSync } from 'node:fs';
import { SignJWT } from 'jose';
import { checkStudent } from '#queue/identity.ts';
import { problem } from '#queue/problem.ts';
import type { Folder } from './folder.ts';

/** Makes tokens (JWT, HS256) for students of one session. */
export interface TokenMint {
  /** @param ttlMs how long the token is good for */
  mint(student: string, ttlMs: number): Promise<string>;
}

/** What a session's tokens say beside the student. */
export interface TokenClaims {
  readonly audience: string;
  readonly issuer: string | undefined;
  readonly rehearsal: boolean;
}

/**
 * The tokens carry `sub` (the student), `aud` and, exactly when the session is a rehearsal, `rehearsal: true`: gateways
 * of other sessions refuse such tokens, and a rehearsal's refuse all others.
 */
export function createMint(key: Uint8Array, { audience, issuer, rehearsal }: TokenClaims): TokenMint {
  return {
    mint(student, ttlMs) {
      refuseStudent(student);
      const now = Math.floor(Date.now() / 1000);
      const token = new SignJWT(rehearsal ? { rehearsal: true } : {})
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(student)
        .setAudience(audience)
        .setIssuedAt(now)
        .setExpirationTime(now + Math.ceil(ttlMs / 1000));
      if (issuer !== undefined) token.setIssuer(issuer);
      return token.sign(key);
    },
  };
}

/**
 * Opens the signing key of a folder's session.
 * @throws Problem `no_signing_key` when the session believes an identity provider instead, or was never run
 */
export function openMint({ session, at }: Folder): TokenMint {
  const { auth, rehearsal } = session.spec;
  const key = readKey(at.keys.token, auth.jwksUrl);
  return createMint(key, { audience: auth.audience ?? session.metadata.name, issuer: auth.issuer, rehearsal });
}

function readKey(path: string, jwksUrl: string | undefined): Uint8Array {
  if (jwksUrl !== undefined) {
    const message = `the session believes tokens of ${jwksUrl} and has no signing key of its own`;
    throw problem('no_signing_key', message, 'get tokens from that identity provider');
  }
  try {
    return Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  } catch (cause) {
    const message = `the signing key ${path} cannot be read: ${(cause as Error).message}`;
    throw problem('no_signing_key', message, 'start the session once with `untradex run`; it makes the key', { cause });
  }
}

function refuseStudent(student: string): void {
  const wrong = checkStudent(student);
  if (wrong !== null) {
    throw problem(
      'usage',
      `--student ${JSON.stringify(student)} cannot be a student: ${wrong}`,
      'give another --student',
    );
  }
}
