import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, stop } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { startSession } from '#test/gateway/testgateway.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

afterAll(() => stop());

const snippets = [...readFileSync('docs/client.md', 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);

test('the code of docs/client.md works as it stands there', { timeout: 30_000 }, async () => {
  expect(snippets).toHaveLength(2);
  const session = await startSession();
  const { url } = await session.start();
  for (const [i, code] of snippets.entries()) {
    const { outputFiles } = await build({
      stdin: {
        contents: `
          const fetchToken = async () => process.env.EXAM_TOKEN;
          const show = () => {};
          ${code.replace('https://exam.example.edu/exam', url)}
          console.log(JSON.stringify(receipt));
          process.exit(0);`,
        resolveDir: process.cwd(),
        loader: 'ts',
      },
      // In Node the stock client requires further packages, from where the bundle does not see them.
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(process.cwd() + '/');",
      },
      alias: { untradex: process.cwd() },
      bundle: true,
      format: 'esm',
      platform: 'node',
      write: false,
    });
    const path = join(tmpFolder('docs'), 'snippet.mjs');
    writeFileSync(path, outputFiles[0]!.contents);
    const program = startProgram({
      argv: [process.execPath, path],
      env: { EXAM_TOKEN: await session.token(`reader-${i}`) },
    });
    expect(await program.ended(), program.stderr).toEqual({ code: 0, signal: null });
    expect(program.lines).toMatchObject([{ student: `reader-${i}`, lastSeq: 1, signature: expect.any(String) }]);
  }
});
