import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { checkStudent } from '#queue/identity.ts';

/** Who signs the students' tokens, and what every token must say. */
export interface TokenRules {
  /** A shared secret (HS256), or where the issuer publishes its public keys (JWKS). */
  readonly keys: { readonly secret: Uint8Array } | { readonly jwksUrl: string };
  readonly issuer: string | null;
  readonly audience: string;
  /** Whether this session is a rehearsal: then every token says `rehearsal: true`, otherwise none does. */
  readonly rehearsal: boolean;
}

/** What a token proves. `expiresAt` is in ms since 1970. */
export interface Bearer {
  readonly student: string;
  readonly expiresAt: number;
}

/** Why a token is refused: an HTTP status and a stable code; `message` never holds any of the token. */
export interface TokenRefusal {
  readonly status: 401 | 403 | 503;
  readonly code: string;
  readonly message: string;
}

export type TokenVerdict = { readonly bearer: Bearer } | { readonly refusal: TokenRefusal };

export type TokenCheck = (token: string | null) => Promise<TokenVerdict>;

/** Longer texts are refused unread. Node's own limit on all headers together is 16 KiB. */
const maxTokenChars = 8_192;

/** How far the issuer's clock and this one may differ. */
const clockToleranceSeconds = 5;

/** With public keys, only signatures that need the private one: else the public key would serve as an HMAC secret. */
const publicKeyAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/**
 * Makes the check that every request passes before anything else is done for it. A token must be signed by the one
 * configured kind of key, not be expired, be meant for this session (`aud`, `iss`, `rehearsal`), and name a student
 * (`sub`) that the queue admits.
 */
export function createTokenCheck(rules: TokenRules): TokenCheck {
  const options: JWTVerifyOptions = {
    algorithms: 'secret' in rules.keys ? ['HS256'] : publicKeyAlgorithms,
    audience: rules.audience,
    requiredClaims: ['exp', 'sub', 'aud'],
    clockTolerance: clockToleranceSeconds,
    ...(rules.issuer === null ? {} : { issuer: rules.issuer }),
  };
  const key = 'secret' in rules.keys ? rules.keys.secret : createRemoteJWKSet(new URL(rules.keys.jwksUrl));

  return async (token) => {
    if (token === null) return refused(401, 'token_missing', 'Send a token: as a Bearer header or as ?access_token=.');
    if (token.length > maxTokenChars) return refused(401, 'token_invalid', 'The token is too long.');
    try {
      const { payload } = await jwtVerify(token, key, options);
      return judgeClaims(payload, rules.rehearsal);
    } catch (error) {
      return judgeError(error);
    }
  };
}

function judgeClaims(claims: JWTPayload, rehearsal: boolean): TokenVerdict {
  const { sub, exp } = claims;
  const wrong = typeof sub === 'string' ? checkStudent(sub) : 'it is not a text';
  if (wrong !== null) return refused(401, 'token_invalid', `The claim sub is not a student id: ${wrong}.`);
  const isRehearsal = claims.rehearsal ?? false;
  if (isRehearsal !== rehearsal) {
    return rehearsal
      ? refused(403, 'rehearsal_only', 'This session is a rehearsal: tokens must say rehearsal: true.')
      : refused(403, 'no_rehearsal', 'This session is no rehearsal: tokens that say rehearsal are refused.');
  }
  return { bearer: { student: sub!, expiresAt: exp! * 1_000 } };
}

function judgeError(error: unknown): TokenVerdict {
  if (error instanceof errors.JWTExpired) return refused(401, 'token_expired', 'The token is expired: get a new one.');
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refused(401, 'token_invalid', `The claim ${error.claim} of the token is missing or wrong.`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return refused(401, 'token_invalid', 'The token is signed with an algorithm that this session does not accept.');
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return refused(401, 'token_invalid', 'The signature of the token is wrong.');
  }
  const isIssuerDown =
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC');
  if (error instanceof errors.JOSEError && !isIssuerDown)
    return refused(401, 'token_invalid', 'The token is malformed.');
  return refused(503, 'token_keys_unavailable', "The issuer's keys (jwksUrl) cannot be read now: try again.");
}

function refused(status: TokenRefusal['status'], code: string, message: string): TokenVerdict {
  return { refusal: { status, code, message } };
}

/**
 * The token of a request, or null: from a Bearer header (what SignalR's client sends from Node), else from
 * `?access_token=` (what it sends from a browser's WebSocket, which cannot set headers).
 */
export function findToken(authorization: string | undefined, query: URLSearchParams): string | null {
  const bearer = /^Bearer +([^ ]+) *$/i.exec(authorization ?? '');
  return bearer?.[1] ?? query.get('access_token');
}
