// Looks at the cluster once, from a pod of the chart, and says what it saw:
//   released  no session within the operator's reach holds its finalizer (before `helm uninstall`)
//   works     the definition is served, the program starts, and an operator leads (`helm test`)
// The chart hands it to `node --eval`; its facts are in CHECK (JSON). Ends with 1 and says what to do otherwise.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const facts = JSON.parse(process.env.CHECK);
const account = process.env.ACCOUNT ?? '/var/run/secrets/kubernetes.io/serviceaccount';
const program = process.env.PROGRAM ?? '/app/dist/untradex.mjs';
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const sessions = '/apis/untradex.io/v1alpha1';
const finalizer = 'untradex.io/session';
const waitMs = Number(process.env.WAIT_MS ?? 60_000);

async function read(path) {
  const server = host.includes(':') ? `[${host}]` : host;
  const authorization = `Bearer ${readFileSync(`${account}/token`, 'utf8').trim()}`;
  const reply = await fetch(`https://${server}:${port}${path}`, {
    headers: { authorization, accept: 'application/json' },
    signal: AbortSignal.timeout(30_000),
  });
  if (reply.status === 404) return null;
  if (!reply.ok) throw new Error(`the API server answers ${reply.status} to ${path}: ${await reply.text()}`);
  return reply.json();
}

/** Page by page, so that memory is bounded. */
async function* allSessions() {
  const places = facts.watchNamespaces.map((name) => `/namespaces/${name}`);
  for (const place of places.length === 0 ? [''] : places) {
    for (let next = ''; next !== undefined; ) {
      const query = `limit=500${next === '' ? '' : `&continue=${encodeURIComponent(next)}`}`;
      const list = await read(`${sessions}${place}/examsessions?${query}`);
      yield* list?.items ?? [];
      next = list?.metadata.continue || undefined;
    }
  }
}

async function released() {
  const held = [];
  let more = 0;
  for await (const { metadata, status } of allSessions()) {
    if (!(metadata.finalizers ?? []).includes(finalizer)) continue;
    if (held.length < 20) held.push(`  ${metadata.namespace}/${metadata.name} (${status?.phase ?? 'no phase yet'})`);
    else more++;
  }
  if (held.length === 0) return 'No session is left that needs the operator.';
  if (more > 0) held.push(`  and ${more} more`);
  throw new Error(
    [
      `${facts.release} is not uninstalled: these sessions still need their operator, which ends them in order:`,
      ...held,
      'Finalize them, wait for Verified, and delete them: kubectl delete exam NAME -n NAMESPACE',
      'To uninstall nevertheless: helm uninstall --no-hooks. They then stay as they are until an operator is back.',
    ].join('\n'),
  );
}

async function works() {
  const served = await read(sessions);
  if (!served?.resources?.some(({ name }) => name === 'examsessions')) {
    throw new Error('the API server does not serve ExamSession: set crds.install, or apply its definition by hand');
  }
  const version = execFileSync(process.execPath, [program, '--version'], { encoding: 'utf8', timeout: 30_000 }).trim();
  return `ExamSession is served, ${await leader()} leads, and the image holds untradex ${version}.`;
}

/** Who holds a Lease that is not over; right after the start nobody may, for a moment. */
async function leader() {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${facts.namespace}/leases/${facts.lease}`;
  for (const end = Date.now() + waitMs; ; await sleep(1_000)) {
    const { holderIdentity, renewTime } = (await read(path))?.spec ?? {};
    const age = Date.now() - Date.parse(renewTime);
    if (holderIdentity && age < 2_000 * facts.leaseSeconds) return holderIdentity;
    if (Date.now() > end) {
      throw new Error(
        `no operator holds the Lease ${facts.namespace}/${facts.lease}: look at kubectl logs -n ${facts.namespace} deployment/${facts.lease}`,
      );
    }
  }
}

try {
  console.log(await { released, works }[process.argv[2] ?? process.argv[1]]());
} catch (error) {
  console.error(error.cause ? `${error.message}: ${error.cause.message}` : error.message);
  process.exitCode = 1;
}
