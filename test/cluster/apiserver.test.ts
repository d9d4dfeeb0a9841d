import { expect, test } from 'vitest';
import { startApiServer } from '#test/support/apiserver.ts';

const secrets = '/api/v1/namespaces/default/secrets';

test('users have their own tokens, and no rights before they are given some', async () => {
  const cluster = await startApiServer({ users: ['teacher'] });
  expect(await cluster.call('GET', secrets)).toMatchObject({ status: 200 });
  expect(await cluster.call('GET', secrets, { token: 'teacher' })).toMatchObject({ status: 403 });
  expect(await cluster.call('GET', secrets, { token: 'nobody' })).toMatchObject({ status: 401 });
  const asTeacher = ['--kubeconfig', cluster.kubeconfigOf('teacher')];
  expect((await cluster.kubectl(['auth', 'can-i', 'list', 'secrets'])).stdout).toBe('yes\n');
  expect((await cluster.kubectl([...asTeacher, 'auth', 'can-i', 'list', 'secrets'])).stdout).toBe('no\n');
});

test('two run side by side and share nothing', async () => {
  const [one, other] = await Promise.all([startApiServer(), startApiServer()]);
  const body = { metadata: { name: 'only-here' } };
  expect(await one.call('POST', secrets, { body })).toMatchObject({ status: 201 });
  expect(await one.call('GET', `${secrets}/only-here`)).toMatchObject({ status: 200 });
  expect(await other.call('GET', `${secrets}/only-here`)).toMatchObject({ status: 404 });
});
