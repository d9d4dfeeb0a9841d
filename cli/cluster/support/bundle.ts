import type { ClusterPlace } from '../clusterplace.ts';
import { createPodLogs } from '../podlog.ts';
import { notIncludedFile, openBundleFolder } from './bundlefolder.ts';
import { collect } from './collect.ts';
import { createScrubber } from './scrubber.ts';
import { readSecrets } from './secrets.ts';

export interface SupportBundle {
  readonly folder: string;
  readonly files: readonly string[];
  /** What is missing, and why. */
  readonly notIncluded: readonly string[];
}

/**
 * Writes all that helps to understand a session to a new folder. The values of its Secrets are read, where that is
 * allowed, for one purpose: no file may hold them, wherever they might turn up.
 * @throws Problem `folder_in_use`
 */
export async function writeSupportBundle(
  place: ClusterPlace,
  options: { readonly folder: string; readonly operatorNamespace: string | undefined; readonly signal: AbortSignal },
): Promise<SupportBundle> {
  const { folder, operatorNamespace, signal } = options;
  let scrubber = createScrubber([]);
  const bundle = openBundleFolder(folder, () => scrubber);
  const logs = createPodLogs(place.connection);
  try {
    const { names, values } = await readSecrets(place.api, place.ref, place.session);
    scrubber = createScrubber(values);
    await collect({ place, logs, bundle, secrets: names, operatorNamespace, signal });
  } finally {
    logs.close();
  }
  if (bundle.notIncluded.length > 0) bundle.writeText(notIncludedFile, `${bundle.notIncluded.join('\n')}\n`);
  return { folder: bundle.path, files: bundle.files, notIncluded: bundle.notIncluded };
}
