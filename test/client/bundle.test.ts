import { build, stop } from 'esbuild';
import { afterAll, expect, test } from 'vitest';

afterAll(() => stop());

test('the client is a small bundle for browsers, without a piece of Node in it', async () => {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: `export * from './client/client.ts'; export * from './client/memoryoutbox.ts';`,
      resolveDir: process.cwd(),
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    metafile: true,
    write: false,
  });
  const files = Object.keys(metafile.inputs).filter((path) => path !== '<stdin>');
  expect(files.filter((path) => !/^(client\/(?!node)|queue\/(limits|problem))/.test(path))).toEqual([]);
  expect(outputFiles[0]!.contents.length).toBeLessThan(30_000);
});
