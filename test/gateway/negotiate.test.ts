import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readHandshake } from '#gateway/handshake.ts';
import { createNegotiator } from '#gateway/negotiate.ts';
import { corsHeaders, isOriginAllowed } from '#gateway/origin.ts';

const key = randomBytes(32);
const now = 1_800_000_000_000;

describe('negotiate', () => {
  it('answers version 1 with an id and a token, offering WebSockets only', () => {
    const answer = createNegotiator(key, 'uid-1').negotiate('ana', 1, now);
    expect(answer).toEqual({
      connectionId: expect.any(String),
      connectionToken: expect.stringMatching(/^[\w.-]+$/),
      negotiateVersion: 1,
      availableTransports: [{ transport: 'WebSockets', transferFormats: ['Text'] }],
    });
  });

  it('answers version 0 with the token as the id', () => {
    const one = createNegotiator(key, 'uid-1');
    const answer = one.negotiate('ana', 0, now);
    expect(answer).not.toHaveProperty('connectionToken');
    expect(one.admits(answer.connectionId, 'ana', now)).toBe(true);
  });

  it('makes tokens that every gateway of the session admits, for their student and a while', () => {
    const token = createNegotiator(key, 'uid-1').negotiate('ana', 1, now).connectionToken!;
    const elsewhere = createNegotiator(key, 'uid-1');
    expect(elsewhere.admits(token, 'ana', now + 60_000)).toBe(true);
    expect(elsewhere.admits(token, 'eva', now)).toBe(false);
    expect(elsewhere.admits(token, 'ana', now + 121_000)).toBe(false);
    expect(elsewhere.admits(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`, 'ana', now)).toBe(false);
    expect(elsewhere.admits('', 'ana', now)).toBe(false);
    expect(elsewhere.admits('x'.repeat(5_000), 'ana', now)).toBe(false);
    expect(createNegotiator(key, 'uid-2').admits(token, 'ana', now)).toBe(false);
    expect(createNegotiator(randomBytes(32), 'uid-1').admits(token, 'ana', now)).toBe(false);
  });
});

describe('the handshake', () => {
  const read = (text: string) => readHandshake(Buffer.from(text));

  it('admits the JSON protocol and says where the next record begins', () => {
    expect(read('{"protocol":"json","version":1}\u001e')).toEqual({ next: 32 });
    expect(read('{"version":2,"protocol":"json"}\u001e{"type":6}\u001e')).toEqual({ next: 32 });
  });

  it.each([
    '{"protocol":"messagepack","version":1}\u001e',
    '{"protocol":"json","version":3}\u001e',
    '{"protocol":"json"}\u001e',
    '{"protocol":"json","version":1}',
    'null\u001e',
    '\u001e',
    `${' '.repeat(600)}{"protocol":"json","version":1}\u001e`,
    '',
  ])('refuses %j', (text) => {
    expect(read(text)).toEqual({ error: expect.any(String) });
  });
});

describe('an origin', () => {
  it.each([
    [undefined, 'exam.edu', [], true],
    ['https://exam.edu', 'exam.edu', [], true],
    ['http://127.0.0.1:8080', '127.0.0.1:8080', [], true],
    ['https://evil.edu', 'exam.edu', [], false],
    ['null', 'exam.edu', [], false],
    ['https://exam.edu', undefined, [], false],
    ['https://lms.edu', 'exam.edu', ['https://lms.edu'], true],
    ['https://exam.edu', 'exam.edu', ['https://lms.edu'], false],
    ['https://any.edu', 'exam.edu', ['*'], true],
  ])('%s at host %s, allowed %j: %s', (origin, host, allowed, result) => {
    expect(isOriginAllowed(origin, host, allowed)).toBe(result);
  });

  it('that is allowed may call with credentials', () => {
    expect(corsHeaders('https://lms.edu')).toMatchObject({
      'Access-Control-Allow-Origin': 'https://lms.edu',
      'Access-Control-Allow-Credentials': 'true',
    });
  });
});
