import { jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { algebra, runCli, sessionFolder, tokenKey } from './cli.ts';

const tokenOf = async (folder: string, ...more: string[]) => {
  const { code, stdout, stderr } = await runCli(['token', 'algebra', '--student', 'änna', '--data', folder, ...more]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  return stdout.trim();
};

test('the token alone is on stdout, good for four hours, for this session and student', async () => {
  const { payload, protectedHeader } = await jwtVerify(await tokenOf(sessionFolder()), tokenKey, {
    audience: 'algebra',
  });
  expect(protectedHeader.alg).toBe('HS256');
  expect(payload).toMatchObject({ sub: 'änna', aud: 'algebra' });
  expect(payload.exp! - payload.iat!).toBe(4 * 3600);
  expect(payload).not.toHaveProperty('rehearsal');
});

test('--ttl, audience, issuer and rehearsal', async () => {
  const folder = sessionFolder(`${algebra}  rehearsal: true\n  auth: {audience: exams, issuer: school}\n`);
  const { payload } = await jwtVerify(await tokenOf(folder, '--ttl', '1h30m'), tokenKey, {
    audience: 'exams',
    issuer: 'school',
  });
  expect(payload.rehearsal).toBe(true);
  expect(payload.exp! - payload.iat!).toBe(5400);
});

test('a session that believes an identity provider has no key of its own', async () => {
  const folder = sessionFolder(`${algebra}  auth: {jwksUrl: "https://id.example.edu/jwks"}\n`);
  const { code, stderr } = await runCli(['token', 'algebra', '--student', 'anna', '--data', folder]);
  expect(code).toBe(65);
  expect(stderr).toContain('no_signing_key: ');
});

test('what no gateway would take as a student gets no token', async () => {
  const args = ['token', 'algebra', '--student', 'tab\there', '--data', sessionFolder()];
  const { code, stdout, stderr } = await runCli(args);
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toContain('--student');
});
