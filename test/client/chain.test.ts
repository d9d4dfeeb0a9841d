import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createChainWalk, originChain, type Sha256 } from '#client/chain.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { webSha256 } from '#client/websha.ts';
import * as queue from '#queue/chain.ts';

const hashes: [string, Sha256][] = [
  ['node:crypto', nodeSha256],
  ['WebCrypto', webSha256],
];

describe.each(hashes)('with %s', (_name, sha256) => {
  test("origins and chains are the queue's", async () => {
    const anyText = fc.string({ unit: 'grapheme' });
    const texts = fc.array(fc.json(), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(anyText, anyText, texts, async (student, writer, events) => {
        const origin = await originChain(sha256, 'uid', student, writer);
        expect(origin).toBe(queue.originChain('uid', student, writer));
        const walk = createChainWalk(sha256, origin, events);
        let chain = origin;
        expect(await walk.at(0)).toBe(chain);
        for (const [i, text] of events.entries()) {
          chain = queue.nextChain(chain, Buffer.from(text));
          expect(await walk.at(i + 1)).toBe(chain);
        }
        expect(await walk.at(0)).toBe(origin);
        expect(await walk.at(events.length)).toBe(chain);
      }),
      { numRuns: 50 },
    );
  });
});

test('goes on from the last answer: each event is hashed once on the way up, again only after going back', async () => {
  let hashed = 0;
  const counting: Sha256 = (bytes) => {
    hashed++;
    return nodeSha256(bytes);
  };
  const walk = createChainWalk(counting, queue.originChain('u', 's', 'w'), ['1', '2', '3', '4']);
  await walk.at(3);
  await walk.at(3);
  await walk.at(4);
  expect(hashed).toBe(4);
  await walk.at(2);
  expect(hashed).toBe(6);
});
