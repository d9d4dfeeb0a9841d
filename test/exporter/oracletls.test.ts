import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '#exporter/config.ts';
import { connect } from '#exporter/sinks/oracle/connection.ts';
import { sinkProblem } from '#exporter/sinks/oracle/retry.ts';
import { hasOpenssl, makeCertificate } from '#test/support/certificate.ts';
import { startOracle } from '#test/support/oracle.ts';
import { tmpFolder } from '#test/support/tmp.ts';

/** The sink's settings out of the exporter's configuration, as its programs get them. */
function settingsOf(sink: object) {
  const path = join(tmpFolder('config'), 'plan.json');
  const config = {
    session: { name: 'algebra', uid: 'c0ffee00-0000-4000-8000-000000000001', exam: 'algebra' },
    ...{ attempt: 1, shards: [{ host: 'h', port: 7000, incarnation: 'i' }], root: 'b'.repeat(64) },
    witnesses: [{ shard: 0, lastId: '1-0', events: 3, digest: 'a'.repeat(40) }],
    ...{ sink: { kind: 'oracle', ...sink }, table: 'EXAM_ANSWERS', report: 'report.json' },
  };
  writeFileSync(path, JSON.stringify(config));
  const settings = readConfig(path).sink;
  if (settings.kind !== 'oracle') throw new Error('another sink');
  return settings;
}

describe.skipIf(!hasOpenssl())('over TLS', () => {
  async function served() {
    const { certFile, keyFile } = makeCertificate('db.example.edu');
    const tls = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    const server = await startOracle({ tls });
    const secret = tmpFolder('secret');
    writeFileSync(join(secret, 'password'), server.password);
    writeFileSync(join(secret, 'username'), `${server.user}\n`);
    const files = { userFile: join(secret, 'username'), passwordFile: join(secret, 'password') };
    return { server, secret, certFile, keyFile, sink: { connectString: `tcps://${server.connectString}`, ...files } };
  }

  async function connects(sink: object): Promise<string> {
    try {
      const session = await connect(settingsOf(sink));
      const { user } = session;
      await session.close();
      return user;
    } catch (error) {
      return sinkProblem(error, 'UNTRADEX').code;
    }
  }

  test('a server with a certificate that nobody vouches for is refused; one of ours, or an authority, vouches', async () => {
    const { secret, certFile, keyFile, sink } = await served();
    expect(await connects(sink)).toBe('database_refused');
    // Our own certificate and key, and the authority, as a Secret has them.
    copyFileSync(certFile, join(secret, 'tls.crt'));
    copyFileSync(keyFile, join(secret, 'tls.key'));
    copyFileSync(certFile, join(secret, 'ca.crt'));
    expect(await connects({ ...sink, tls: { folder: secret } })).toBe('UNTRADEX');
    // A wallet is the same in one file.
    const wallet = join(tmpFolder('wallet'), 'ewallet.pem');
    writeFileSync(wallet, [certFile, keyFile].map((file) => readFileSync(file, 'utf8')).join('\n'));
    expect(await connects({ ...sink, tls: { walletFile: wallet } })).toBe('UNTRADEX');
    expect(await connects({ ...sink, tls: { walletFile: wallet, serverDn: 'CN=another' } })).toBe('database_refused');
    // From here on this process believes the authority.
    expect(await connects({ ...sink, tls: { caFile: certFile } })).toBe('UNTRADEX');
  });
});
