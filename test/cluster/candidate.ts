import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { createApi } from '#operator/kubernetes/runtime/api.ts';
import { createElection } from '#operator/kubernetes/runtime/election.ts';

/**
 * A candidate as a process: `node candidate.ts KUBECONFIG IDENTITY`. While it leads it writes to one shared ConfigMap
 * as fast as it can, each time with the name of this term of it. SIGTERM stops it cleanly.
 */
const [kubeconfig, identity] = process.argv.slice(2) as [string, string];

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const leaseApi = createApi(config, { userAgent: identity, timeoutMs: 1_000 });
const api = createApi(config, {
  userAgent: identity,
  fence: () => election.fence(),
  rate: { perSecond: 300, burst: 1 },
});

const shared = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'shared' };
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
let terms = 0;
let work: { stopped: boolean; readonly ended: Promise<void> } | null = null;

const election = createElection({
  ...{ api: leaseApi, namespace: 'default', name: 'election', identity },
  ...{ leaseMs: 3_000, renewMs: 2_000, retryMs: 500 },
  onStarted() {
    terms += 1;
    const term = `${identity}-${terms}`;
    say({ started: term });
    const now = { stopped: false, ended: Promise.resolve() };
    work = Object.assign(now, { ended: writeOn(term, now) });
  },
  async onStopped(reason) {
    say({ stopped: `${identity}-${terms}`, reason });
    await sleep(300);
    if (work !== null) work.stopped = true;
    await work?.ended;
  },
  onError: (error) => say({ error: String(error) }),
});

/** Goes on for a while after it should stop, so that only the fence keeps it from writing. */
async function writeOn(term: string, now: { readonly stopped: boolean }): Promise<void> {
  let fenced = 0;
  for (let n = 0; !now.stopped; n++) {
    try {
      await api.patch(shared, { data: { term, n: String(n) } }, { type: 'merge' });
    } catch {
      fenced += 1;
      await sleep(5);
    }
  }
  say({ ended: term, fenced });
}

process.once('SIGTERM', async () => {
  await election.stop();
  api.close();
  leaseApi.close();
});
election.start();
