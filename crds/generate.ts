import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { examSessionCrd } from '#operator/crd.ts';
import { examSessionPage } from './page.ts';

/** `npm run crds`: writes what is made from the schema of ExamSession. Run it after every change of a field. */
const root = dirname(import.meta.dirname);

/** kubectl reads YAML 1.1, where more words are no text. */
const yamlOptions = { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false } as const;

/** The files that follow from the schema, by their paths in the checkout. */
export function generated(): ReadonlyMap<string, string> {
  const crd = examSessionCrd();
  const head = '# Made by `npm run crds` from operator/examsession.ts: edit there.\n';
  const definition = head + stringify(crd, yamlOptions);
  return new Map([
    ['crds/examsessions.untradex.io.yaml', definition],
    // A chart takes files from its own folder only.
    ['charts/untradex/files/examsessions.untradex.io.yaml', definition],
    ['docs/examsession.md', examSessionPage(crd)],
  ]);
}

if (import.meta.main) {
  for (const [path, text] of generated()) {
    writeFileSync(join(root, path), text);
    console.log(path);
  }
}
