import { symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { decodeJwt } from 'jose';
import { beforeAll, describe, expect, test } from 'vitest';
import { annotationNames, objectNames } from '#operator/kubernetes/names.ts';
import type { SessionStatus } from '#operator/status.ts';
import { storedStatus } from '#operator/statusschema.ts';
import { findKubernetes } from '#setup/findkubernetes.cjs';
import { statusOfPast } from '#test/operator/facts.ts';
import { freePort } from '#test/support/freeport.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { type Guarded, mergePatch, messageOf, pathOf, startGuarded } from './guarded.ts';
import { type Plugin, pluginFor } from './plugin.ts';

/** `kubectl untradex` on an API server without an operator or nodes: what it reads, what it writes, what it says. */
let guarded: Guarded;
let plugin: Plugin;

beforeAll(async () => {
  guarded = await startGuarded({}, { users: ['viewer', 'nobody'] });
  await guarded.bind('viewer', 'untradex-view');
  for (const name of ['maths', 'empty', 'pair']) await guarded.makeNamespace(name);
  plugin = pluginFor(guarded.cluster.kubeconfig);
});

async function putStatus(namespace: string, name: string, change: Partial<SessionStatus>): Promise<void> {
  const { cluster } = guarded;
  const { metadata } = (await cluster.call('GET', pathOf(namespace, name))).body;
  const { uid } = metadata as { uid: string };
  const body = { status: storedStatus(statusOfPast({ name, uid, ...change })) };
  const reply = await cluster.call('PATCH', `${pathOf(namespace, name)}/status`, { body, contentType: mergePatch });
  expect(reply, messageOf(reply)).toMatchObject({ status: 200 });
}

const condition = (type: 'Ready' | 'Verified', status: 'True' | 'False', message = 'm') => ({
  ...{ type, status, reason: 'R', message, observedGeneration: 1 },
  lastTransitionTime: '2026-05-04T09:00:00Z',
});
const verified = { phase: 'Completed', conditions: [condition('Verified', 'True')] } as const;

async function liveSpec(namespace: string, name: string): Promise<{ phase?: string }> {
  return (await guarded.cluster.call('GET', pathOf(namespace, name))).body.spec as { phase?: string };
}

describe('the plugin', () => {
  test('runs under kubectl through a link on PATH, and speaks of itself by the name that was typed', async () => {
    const programs = findKubernetes(process.env)!;
    const PATH = [plugin.bin, dirname(process.execPath), process.env.PATH].join(delimiter);
    const help = startProgram({ argv: [programs.kubectl, 'untradex', 'status', '--help'], env: { PATH } });
    expect(await help.ended(30_000)).toMatchObject({ code: 0 });
    expect(help.stdout).toMatch(/^Usage: kubectl untradex status \[options\] \[name\]$/m);
    expect(help.stdout).toContain('$ kubectl untradex status');
    expect(help.stdout).not.toMatch(/^ {2}\$ untradex/m);
  });

  test('wrong use names the plugin in its remedy', async () => {
    const { code, stderr } = await plugin.run('finalise');
    expect(code).toBe(64);
    expect(stderr).toContain('remedy: kubectl untradex finalise --help shows what it takes');
  });
});

test('Tab completes commands, options, their values and names of sessions', async () => {
  const folder = tmpFolder('complete');
  const link = join(folder, 'kubectl_complete-untradex');
  symlinkSync(resolve('bin/kubectl_complete-untradex.mjs'), link);
  const complete = async (...words: string[]) => {
    const env = { KUBECONFIG: guarded.cluster.kubeconfig };
    const program = startProgram({ argv: [process.execPath, link, ...words], env });
    expect(await program.ended(20_000)).toMatchObject({ code: 0 });
    return program.stdout.trimEnd().split('\n');
  };
  await guarded.makeNamespace('tab');
  await guarded.make('tab', 'algebra');
  await guarded.make('tab', 'biology');
  expect(await complete('re')).toEqual(['rehearse', 'report', 'resume', ':4']);
  expect(await complete('verify', '-n', 'tab', '')).toEqual(['algebra', 'biology', ':4']);
  expect(await complete('verify', '-n', 'tab', 'b')).toEqual(['biology', ':4']);
  expect(await complete('verify', 'algebra', '--le')).toEqual(['--ledger', ':4']);
  expect(await complete('verify', 'algebra', '--ledger', '')).toEqual([':0']);
  expect(await complete('logs', 'algebra', '--part', '')).toEqual(['redis', 'gateway', 'exporter', ':4']);
  expect(await complete('status', '--context', 'nowhere', '')).toEqual([':4']);
});

describe('status', () => {
  test('shows a session in sections, as JSON, and again at each change', async () => {
    await guarded.make('maths', 'algebra');
    expect(await plugin.run('status', 'algebra', '-n', 'maths')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('algebra has no status yet'),
    });
    await putStatus('maths', 'algebra', {
      phase: 'Active',
      students: { expected: 10, connected: 7, seen: 9, finished: 0 },
    });
    const shown = await plugin.run('status', 'algebra', '-n', 'maths');
    expect(shown.stdout).toMatch(/^algebra {2}Active/);
    expect(shown.stdout).toMatch(/^Students\n {2}expected {3}10\n {2}connected {2}7\n/m);
    expect(shown.stdout).not.toContain('\x1b');
    const json = await plugin.run('status', 'algebra', '-n', 'maths', '-o', 'json');
    expect(JSON.parse(json.stdout)).toMatchObject({ name: 'algebra', phase: 'Active', students: { connected: 7 } });

    const watching = plugin.start('status', 'algebra', '-n', 'maths', '-w', '--json');
    await watching.line(({ phase }) => phase === 'Active', 'the status now');
    await putStatus('maths', 'algebra', { phase: 'Draining' });
    await watching.line(({ phase }) => phase === 'Draining', 'the next status');
    watching.kill('SIGINT');
    expect(await watching.ended()).toMatchObject({ code: 130 });
    expect(watching.stderr).toBe('');
  });

  test('without a name it shows the only session, and lists several', async () => {
    await guarded.make('pair', 'one', { spec: { students: 4000 } });
    expect((await plugin.run('status', '-n', 'pair')).stdout).toContain('one has no status yet');
    await guarded.make('pair', 'the-second');
    await putStatus('pair', 'one', { ...verified, events: { accepted: 9, durable: 12345, exported: 0 } });
    const { code, stdout } = await plugin.run('status', '-n', 'pair');
    expect(code).toBe(0);
    const lines = stdout.split('\n').map((line) => line.replace(/\d+s$/, 'N'));
    expect(lines).toEqual([
      'NAME         PHASE       READY   STUDENTS   CONNECTED   EVENTS   VERIFIED   AGE',
      'one          Completed   no      4,000      0           12,345   yes        N',
      'the-second   new         no      10         0           0        no         N',
      '',
    ]);
    const everywhere = await plugin.run('status', '-A', '-o', 'json');
    expect(JSON.parse(everywhere.stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ namespace: 'pair', name: 'one', students: 4000 })]),
    );
    expect((await plugin.run('status', '-A')).stdout).toMatch(/^pair +the-second +new/m);
    expect((await plugin.run('status', '-n', 'empty')).stdout).toBe('there is no session in the namespace empty\n');
    expect(await plugin.run('status', 'one', '-A')).toMatchObject({ code: 64 });
  });

  test('a list is watched', async () => {
    await guarded.makeNamespace('watched');
    const watching = plugin.start('status', '-n', 'watched', '-w');
    await until(() => watching.stdout.includes('there is no session'), { what: 'the empty list', timeoutMs: 20_000 });
    await guarded.make('watched', 'new-one');
    await until(() => watching.stdout.includes('new-one'), { what: 'the new session', timeoutMs: 20_000 });
    watching.kill('SIGTERM');
    expect(await watching.ended()).toMatchObject({ code: 143 });
  });
});

describe('finalize', () => {
  test('sets the phase once, and --wait ends when somebody wrote that it is verified', async () => {
    await guarded.make('maths', 'biology');
    expect(await plugin.run('finalize', 'biology', '-n', 'maths')).toMatchObject({
      ...{ code: 0, stdout: 'biology is asked to finalize\n', stderr: '' },
    });
    expect(await liveSpec('maths', 'biology')).toMatchObject({ phase: 'Finalizing' });
    const again = await plugin.run('finalize', 'biology', '-n', 'maths', '-o', 'json');
    expect(JSON.parse(again.stdout)).toEqual({ name: 'biology', phase: 'Finalizing', changed: false });

    const waiting = plugin.start('finalize', 'biology', '-n', 'maths', '--wait');
    await putStatus('maths', 'biology', { phase: 'Draining' });
    await until(() => waiting.stderr.includes('Draining'), { what: 'the first status', timeoutMs: 20_000 });
    await putStatus('maths', 'biology', { ...verified, events: { accepted: 3, durable: 3, exported: 3 } });
    expect(await waiting.ended(20_000)).toMatchObject({ code: 0 });
    expect(waiting.stdout).toContain('VERIFIED biology: 3 events exported');
  });

  test('--wait ends with 1 and the reason when it failed, with 2 when the time is over', async () => {
    await guarded.make('maths', 'chemistry');
    expect(await plugin.run('finalize', 'chemistry', '-n', 'maths', '--wait', '--timeout', '2s')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('remedy: see kubectl untradex status chemistry -n maths'),
    });
    const degraded = { ...condition('Verified', 'False', 'three rows are missing') };
    await putStatus('maths', 'chemistry', { phase: 'Failed', conditions: [degraded] });
    expect(await plugin.run('finalize', 'chemistry', '-n', 'maths', '--wait')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('three rows are missing'),
    });
  });
});

test('pause and resume set what the operator looks at, once each', async () => {
  await guarded.make('maths', 'drawing');
  const paused = async () => {
    const { metadata } = (await guarded.cluster.call('GET', pathOf('maths', 'drawing'))).body;
    return (metadata as { annotations?: Record<string, string> }).annotations?.[annotationNames.paused];
  };
  const outputs: string[] = [];
  for (const command of ['pause', 'pause', 'resume', 'resume']) {
    outputs.push((await plugin.run(command, 'drawing', '-n', 'maths')).stdout);
    expect(await paused()).toBe(command === 'pause' ? 'true' : undefined);
  }
  expect(outputs).toEqual([
    'drawing is now paused\n',
    'drawing was already paused\n',
    'drawing is now in the care of its operator\n',
    'drawing was already in the care of its operator\n',
  ]);
});

test('token signs with the key of the session, and says what to do where there is none', async () => {
  const uid = await guarded.make('maths', 'english', { spec: { rehearsal: true } });
  const missing = await plugin.run('token', 'english', '--student', 'anna', '-n', 'maths');
  expect(missing).toMatchObject({ code: 65, stdout: '', stderr: expect.stringContaining('no_signing_key: ') });
  await secret('maths', objectNames({ namespace: 'maths', name: 'english', uid }).secrets.gateway, {
    'token.key': Buffer.alloc(32, 7).toString('base64url'),
  });
  const { code, stdout } = await plugin.run('token', 'english', '--student', 'anna', '-n', 'maths');
  expect(code).toBe(0);
  expect(decodeJwt(stdout.trim())).toMatchObject({ sub: 'anna', aud: 'english', rehearsal: true });
});

test('plan: of a session that is there, whose shards stay, and of a file', async () => {
  await guarded.make('maths', 'french', { spec: { students: 4000 } });
  const plan = async (...args: string[]) => JSON.parse((await plugin.run('plan', ...args, '--json')).stdout);
  const before = await plan('french', '-n', 'maths', '--students', '100000');
  expect(before.shards).toBeGreaterThan(1);
  const past = statusOfPast();
  await putStatus('maths', 'french', { plan: { ...past.plan, shards: 1 } });
  expect(await plan('french', '-n', 'maths', '--students', '100000')).toMatchObject({ name: 'french', shards: 1 });
  const file = await plugin.run('plan', '-f', 'examples/session.yaml');
  expect(file.stdout).toMatch(/^algebra {2}4,000 students$/m);
  expect(await plugin.run('plan', 'french', '-f', 'examples/session.yaml')).toMatchObject({ code: 64 });
});

describe('what goes wrong is told in a line, with what to do', () => {
  const view = () => pluginFor(guarded.cluster.kubeconfigOf('viewer'));

  test('a wrong name: those that are there', async () => {
    await guarded.makeNamespace('names');
    await guarded.make('names', 'algebra');
    await guarded.make('names', 'biology');
    expect(await plugin.run('status', 'algebar', '-n', 'names')).toMatchObject({
      code: 65,
      stderr:
        'session_unknown: there is no session algebar in the namespace names\nremedy: name one of: algebra, biology\n',
    });
    expect((await plugin.run('plan', '-n', 'names')).stderr).toContain('there are 2 sessions in the namespace names');
  });

  test('a missing right: the rule that gives it', async () => {
    await guarded.make('maths', 'geography');
    const { code, stderr } = await view().run('finalize', 'geography', '-n', 'maths');
    expect(code).toBe(69);
    expect(stderr).toMatch(/^api_forbidden: cannot patch examsessions\.untradex\.io maths\/geography: /);
    expect(stderr).toContain('{apiGroups: ["untradex.io"], resources: ["examsessions"], verbs: ["patch"]}');
    const nobody = await pluginFor(guarded.cluster.kubeconfigOf('nobody')).run('status', 'x', '-n', 'maths');
    expect(nobody.stderr).toContain('verbs: ["get"]');
  });

  test('no such context', async () => {
    const { code, stderr } = await plugin.run('status', 'x', '--context', 'prod');
    expect({ code, stderr }).toEqual({
      code: 65,
      stderr: 'kubeconfig_invalid: the kubeconfig has no context prod\nremedy: name one of test with --context\n',
    });
  });

  test('no usable kubeconfig', async () => {
    const file = join(tmpFolder('kubeconfig'), 'config');
    writeFileSync(file, 'apiVersion: v1\nkind: Config\n');
    for (const path of [file, `${file}-missing`]) {
      const { code, stderr } = await plugin.run('status', 'x', '--kubeconfig', path);
      expect(code).toBe(65);
      expect(stderr).toMatch(/^kubeconfig_invalid: .*\nremedy: .*--kubeconfig.*\n$/);
    }
  });

  test('a cluster that does not answer, and one that does not know who asks', async () => {
    const file = join(tmpFolder('kubeconfig'), 'config');
    const write = (server: string) =>
      writeFileSync(
        file,
        JSON.stringify({
          ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'far' },
          clusters: [{ name: 'far', cluster: { server, 'insecure-skip-tls-verify': true } }],
          users: [{ name: 'me', user: { token: 'wrong' } }],
          contexts: [{ name: 'far', context: { cluster: 'far', user: 'me' } }],
        }),
      );
    const port = await freePort();
    write(`https://127.0.0.1:${port}`);
    const unreachable = await plugin.run('status', 'x', '--kubeconfig', file);
    expect(unreachable.code).toBe(69);
    expect(unreachable.stderr).toMatch(
      /^cluster_unreachable: the cluster of the context far \(https:\S+\) does not answer: connect ECONNREFUSED.*\nremedy: .*\n$/,
    );
    write(guarded.cluster.url);
    const unknown = await plugin.run('status', 'x', '--kubeconfig', file);
    expect(unknown).toMatchObject({ code: 69, stderr: expect.stringContaining('cluster_unauthorized: ') });
  });

  test('rows that nobody exported', async () => {
    await guarded.make('maths', 'history');
    for (const command of ['verify', 'report']) {
      const { code, stderr } = await plugin.run(command, 'history', '-n', 'maths');
      expect(code).toBe(69);
      expect(stderr).toContain('remedy: end it with `kubectl untradex finalize history -n maths --wait`');
    }
  });
});

// The last one: an API server that was restarted in a test ends with it.
test('an API server that is restarted meanwhile is waited for', async () => {
  await guarded.make('maths', 'patience');
  const waiting = plugin.start('finalize', 'patience', '-n', 'maths', '--wait');
  await putStatus('maths', 'patience', { phase: 'Draining' });
  await until(() => waiting.stderr.includes('Draining'), { what: 'the first status', timeoutMs: 20_000 });
  await guarded.cluster.restart();
  await putStatus('maths', 'patience', verified);
  expect(await waiting.ended(30_000)).toMatchObject({ code: 0 });
});

async function secret(namespace: string, name: string, stringData: Record<string, string>): Promise<void> {
  const body = { metadata: { name }, stringData };
  const made = await guarded.cluster.call('POST', `/api/v1/namespaces/${namespace}/secrets`, { body });
  expect(made, messageOf(made)).toMatchObject({ status: 201 });
}
