import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultLimits, readConfig } from '#gateway/config.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';

const smallest = {
  session: { name: 'algebra', uid: '7b0c1c0e-5a3e-4f0b-9d55-0b8f6d1a2c3d', exam: 'algebra' },
  listen: { host: '127.0.0.1', port: 8080 },
  ops: { host: '127.0.0.1', port: 0 },
  shards: [{ host: '127.0.0.1', port: 7000, incarnation: 'inc-0' }],
  auth: { secretFile: 'token.key', audience: 'algebra' },
  receipt: { privateKeyFile: 'receipt.pem' },
  connectionTokenKeyFile: 'token.key',
};

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'untradex-config-'));
  writeFileSync(join(folder, 'token.key'), `${Buffer.alloc(32, 7).toString('base64url')}\n`);
  writeFileSync(join(folder, 'receipt.pem'), generateReceiptKeys().privateKey);
  writeFileSync(join(folder, 'password'), 'hidden\n');
});

afterEach(() => rmSync(folder, { recursive: true }));

function read(config: unknown) {
  const path = join(folder, 'config.json');
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return readConfig(path);
}

function whyNot(config: unknown): string {
  try {
    read(config);
  } catch (error) {
    expect(error).toMatchObject({ code: 'gateway_config_invalid', remedy: expect.any(String) });
    return (error as Error).message;
  }
  return 'nothing is wrong';
}

describe('the configuration of a gateway', () => {
  it('needs little and reads the files that it names', () => {
    const config = read(smallest);
    expect(config).toMatchObject({
      mode: 'serve',
      origins: [],
      drainMs: 10_000,
      capacity: 20_000,
      limits: defaultLimits,
    });
    expect(config.tokens).toEqual({
      keys: { secret: Buffer.alloc(32, 7) },
      issuer: null,
      audience: 'algebra',
      rehearsal: false,
    });
    expect(config.receiptKey.asymmetricKeyType).toBe('ed25519');
    expect(config.shards).toEqual([{ endpoint: { host: '127.0.0.1', port: 7000 }, incarnation: 'inc-0' }]);
  });

  it('takes every field, null where a field is absent', () => {
    const config = read({
      ...smallest,
      shards: [{ ...smallest.shards[0], username: 'gateway', passwordFile: 'password', tls: { caFile: 'password' } }],
      auth: { secretFile: null, jwksUrl: 'https://idp.edu/keys', issuer: 'https://idp.edu', audience: 'algebra' },
      mode: 'answer',
      origins: ['*'],
      drainSeconds: 0,
      logLevel: 'silent',
      capacity: 5,
      limits: { studentConnections: 2 },
    });
    expect(config.tokens).toMatchObject({ keys: { jwksUrl: 'https://idp.edu/keys' }, issuer: 'https://idp.edu' });
    expect(config.shards[0]!.endpoint).toEqual({
      host: '127.0.0.1',
      port: 7000,
      username: 'gateway',
      password: 'hidden',
      tls: { ca: 'hidden' },
    });
    expect(config.limits).toEqual({ ...defaultLimits, studentConnections: 2 });
  });

  it('names every wrong field at once', () => {
    const why = whyNot({
      ...smallest,
      session: { name: 'algebra', uid: 'x' },
      listen: { host: '127.0.0.1', port: 99_999 },
      shards: [],
      mode: 'fast',
      auth: { audience: 'algebra' },
      limits: { studentConnections: -1, unknown: 1 },
      colour: 'red',
    });
    for (const part of [
      'session.uid',
      'session.exam',
      'listen.port',
      'shards',
      'mode',
      'auth: set exactly one',
      'colour',
    ]) {
      expect(why).toContain(part);
    }
    expect(why).toContain('limits.studentConnections');
  });

  it('names every unusable file at once and shows no secret', () => {
    writeFileSync(join(folder, 'short.key'), 'c2hvcnQ');
    const why = whyNot({
      ...smallest,
      auth: { secretFile: 'short.key', audience: 'algebra' },
      shards: [{ ...smallest.shards[0], passwordFile: 'missing' }],
      receipt: { privateKeyFile: 'password' },
    });
    expect(why).toContain('auth.secretFile: the file must hold at least 32 random bytes');
    expect(why).toContain('shards.0.passwordFile: ENOENT');
    expect(why).toContain('receipt.privateKeyFile: the receipt key is not an Ed25519 key');
    expect(why).not.toContain('hidden');
    expect(why).not.toContain('c2hvcnQ');
  });

  it('must be JSON, in a file that is there', () => {
    expect(whyNot('{')).toContain('the file itself');
    expect(() => readConfig(join(folder, 'none.json'))).toThrow(/the file itself: ENOENT/);
  });
});
