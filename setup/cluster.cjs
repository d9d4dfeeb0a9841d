'use strict';
const { output } = require('./command.cjs');
const { ensureContainers } = require('./containers.cjs');
const { apiServerPrograms, clusterPrograms } = require('./findkubernetes.cjs');
const { ensureKubernetes } = require('./kubernetes.cjs');
const { say } = require('./trouble.cjs');

/** What tests take that talk to an API server, to a chart, or to a cluster that was made by others. */
const common = apiServerPrograms.concat('helm', 'probe', 'kube-score', 'kubeconform');

/**
 * Gets what `npm run test:cluster` needs. Where a whole cluster is made of this machine's own programs
 * (test/support/cluster/choose.ts), those too: the first time that takes about twelve minutes on two cores.
 */
async function ensureCluster(env) {
  await ensureKubernetes(env);
  await ensureKubernetes(env, common);
  const asked = env.UNTRADEX_TEST_CLUSTER;
  if (asked ? asked !== 'own' : await kindRuns()) return;
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    say('tests on a whole cluster are left out: they take Linux and root, or Docker and kind');
    return;
  }
  await ensureContainers(env);
  await ensureKubernetes(env, clusterPrograms);
}

/** As test/support/cluster/kind.ts asks. */
async function kindRuns() {
  try {
    await output('kind', ['version'], { timeoutMs: 10000 });
    await output('docker', ['info'], { timeoutMs: 10000 });
    return true;
  } catch {
    return false;
  }
}

module.exports = { ensureCluster };
