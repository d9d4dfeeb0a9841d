import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { createTokenCheck, findToken, type TokenRules } from '#gateway/token.ts';

const secret = randomBytes(32);
const rules: TokenRules = { keys: { secret }, issuer: 'school', audience: 'algebra', rehearsal: false };
const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;

const claims = (changes: Record<string, unknown> = {}) => ({
  sub: 'ana',
  aud: 'algebra',
  iss: 'school',
  exp: inAnHour(),
  ...changes,
});

function sign(payload: Record<string, unknown>, key: KeyObject | Uint8Array = secret, alg = 'HS256', kid?: string) {
  const known = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
  return new SignJWT(known).setProtectedHeader(kid ? { alg, kid } : { alg }).sign(key);
}

async function codeOf(token: string | null, changes: Partial<TokenRules> = {}): Promise<string> {
  const verdict = await createTokenCheck({ ...rules, ...changes })(token);
  if ('bearer' in verdict) return 'admitted';
  const { status, code, message } = verdict.refusal;
  if (token) expect(message).not.toContain(token);
  return `${status} ${code}`;
}

describe('a token signed with the shared secret', () => {
  it('admits its student until it expires', async () => {
    const exp = inAnHour();
    const verdict = await createTokenCheck(rules)(await sign(claims({ exp })));
    expect(verdict).toEqual({ bearer: { student: 'ana', expiresAt: exp * 1_000 } });
  });

  it.each([
    ['expired', { exp: 1_700_000_000 }, '401 token_expired'],
    ['without exp', { exp: undefined }, '401 token_invalid'],
    ['with a textual exp', { exp: '9999999999' }, '401 token_invalid'],
    ['not yet valid', { nbf: inAnHour() }, '401 token_invalid'],
    ['for another audience', { aud: 'physics' }, '401 token_invalid'],
    ['without audience', { aud: undefined }, '401 token_invalid'],
    ['of another issuer', { iss: 'elsewhere' }, '401 token_invalid'],
    ['without issuer', { iss: undefined }, '401 token_invalid'],
    ['without student', { sub: undefined }, '401 token_invalid'],
    ['with an empty student', { sub: '' }, '401 token_invalid'],
    ['with a student that is not text', { sub: 7 }, '401 token_invalid'],
    ['with a control character in the student', { sub: 'a\nb' }, '401 token_invalid'],
    ['with a student in the wrong Unicode form', { sub: 'e\u0301' }, '401 token_invalid'],
    ['for a rehearsal', { rehearsal: true }, '403 no_rehearsal'],
    ['with a rehearsal that is not true', { rehearsal: 'yes' }, '403 no_rehearsal'],
  ])('%s is refused', async (_, changes, code) => {
    expect(await codeOf(await sign(claims(changes)))).toBe(code);
  });

  it('is refused when forged, cut, changed or absent', async () => {
    const token = await sign(claims());
    const [header, , signature] = token.split('.');
    const other = Buffer.from(JSON.stringify(claims({ sub: 'eva' }))).toString('base64url');
    expect(await codeOf(await sign(claims(), randomBytes(32)))).toBe('401 token_invalid');
    expect(await codeOf(`${header}.${other}.${signature}`)).toBe('401 token_invalid');
    expect(await codeOf(token.slice(0, -9))).toBe('401 token_invalid');
    expect(await codeOf('hello')).toBe('401 token_invalid');
    expect(await codeOf('x'.repeat(10_000))).toBe('401 token_invalid');
    expect(await codeOf('')).toBe('401 token_invalid');
    expect(await codeOf(null)).toBe('401 token_missing');
  });

  it('is refused without a signature and with other algorithms', async () => {
    expect(await codeOf(new UnsecuredJWT(claims()).encode())).toBe('401 token_invalid');
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await sign(claims())).split('.')[1]}.`;
    expect(await codeOf(none)).toBe('401 token_invalid');
    expect(await codeOf(await sign(claims(), randomBytes(64), 'HS512'))).toBe('401 token_invalid');
    const { privateKey } = generateKeyPairSync('ed25519');
    expect(await codeOf(await sign(claims(), privateKey, 'EdDSA'))).toBe('401 token_invalid');
  });

  it('admits to a rehearsal exactly when it says so', async () => {
    const rehearsal = true;
    expect(await codeOf(await sign(claims({ rehearsal })), { rehearsal })).toBe('admitted');
    expect(await codeOf(await sign(claims()), { rehearsal })).toBe('403 rehearsal_only');
    expect(await codeOf(await sign(claims({ rehearsal: false })))).toBe('admitted');
  });
});

describe('a token checked against published keys', () => {
  let server: Server | undefined;
  afterEach(() => new Promise((done) => (server ? server.close(done) : done(undefined))));

  async function publish(body: unknown, status = 200): Promise<TokenRules['keys']> {
    server = createServer((_, response) => response.writeHead(status).end(JSON.stringify(body)));
    await new Promise<void>((done) => server!.listen(0, '127.0.0.1', done));
    return { jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys` };
  }

  it('admits, and refuses foreign signatures and the public key as an HMAC secret', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const keys = await publish({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] });
    expect(await codeOf(await sign(claims(), privateKey, 'ES256', 'k1'), { keys })).toBe('admitted');
    expect(await codeOf(await sign(claims(), stranger.privateKey, 'ES256', 'k1'), { keys })).toBe('401 token_invalid');
    expect(await codeOf(await sign(claims(), stranger.privateKey, 'ES256', 'k2'), { keys })).toBe('401 token_invalid');
    const pem = createSecretKey(Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })));
    expect(await codeOf(await sign(claims(), pem, 'HS256', 'k1'), { keys })).toBe('401 token_invalid');
  });

  it('is not judged while the issuer cannot be asked', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const token = await sign(claims(), privateKey, 'ES256', 'k1');
    expect(await codeOf(token, { keys: await publish({}, 500) })).toBe('503 token_keys_unavailable');
    expect(await codeOf(token, { keys: { jwksUrl: 'http://127.0.0.1:1/keys' } })).toBe('503 token_keys_unavailable');
  });
});

describe('where a token is found', () => {
  it.each([
    ['Bearer abc', '', 'abc'],
    ['bearer abc', 'access_token=def', 'abc'],
    [undefined, 'access_token=def', 'def'],
    ['Basic abc', '', null],
    [undefined, '', null],
  ])('header %s, query %s', (header, query, token) => {
    expect(findToken(header, new URLSearchParams(query))).toBe(token);
  });
});
