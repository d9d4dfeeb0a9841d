import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { merkleRoot, sessionRoot, type WriterState, writerLeaf } from '#queue/merkle.ts';
import { anyState, anyStudent, anyWriter } from './arbitraries.ts';

function sha256(...parts: Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(parts)).digest();
}

/** MTH of RFC 6962, section 2.1, word by word. */
function treeHash(leaves: Uint8Array[]): Buffer {
  const n = leaves.length;
  if (n === 0) return sha256();
  if (n === 1) return sha256(Buffer.from([0x00]), leaves[0]!);
  let k = 1;
  while (k * 2 < n) k *= 2;
  return sha256(Buffer.from([0x01]), treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

describe('the tree hash', () => {
  const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const roots = [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ];
  it.each(roots.map((root, count) => [count, root] as const))(
    'of %i of the leaves that Certificate Transparency tests with is known',
    (count, root) => {
      const leaves = inputs.slice(0, count).map((hex) => Buffer.from(hex, 'hex'));
      expect(merkleRoot(leaves)).toBe(root);
    },
  );

  it('is the one of RFC 6962, for any number of leaves', () => {
    for (let count = 0; count <= 130; count++) {
      const leaves = Array.from({ length: count }, (_, i) => Buffer.from(`leaf ${i}`));
      expect(merkleRoot(leaves), `${count} leaves`).toBe(treeHash(leaves).toString('hex'));
    }
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (leaves) => {
        expect(merkleRoot(leaves)).toBe(treeHash(leaves).toString('hex'));
      }),
    );
  });
});

const anyWriters: fc.Arbitrary<WriterState[]> = fc.uniqueArray(
  fc.record({
    student: fc.oneof(anyStudent, fc.constantFrom('a', 'ab', 'ab!', '\uff41', '😀', 'é')),
    writer: fc.oneof(anyWriter, fc.constantFrom('writer_1', 'writer_10', 'Writer_1')),
    state: anyState,
  }),
  { selector: ({ student, writer }) => `${writer}:${student}`, maxLength: 12 },
);

/** The root as PROTOCOL.md says it, with Buffer.compare for the order. */
function slowRoot(writers: WriterState[]): string {
  const leaves = writers.map(({ student, writer, state }) => {
    const lp = [student, writer].flatMap((text) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(text));
      return [length, Buffer.from(text)];
    });
    const seq = Buffer.alloc(8);
    seq.writeBigUInt64BE(BigInt(state.seq));
    const leaf = Buffer.concat([...lp, seq, Buffer.from(state.chain, 'hex')]);
    return { student: Buffer.from(student), writer: Buffer.from(writer), leaf };
  });
  leaves.sort((a, b) => Buffer.compare(a.student, b.student) || Buffer.compare(a.writer, b.writer));
  return treeHash(leaves.map(({ leaf }) => leaf)).toString('hex');
}

describe("the session's root", () => {
  const chain = 'ab'.repeat(32);
  const ana: WriterState = { student: 'ana', writer: 'writer_1', state: { seq: 3, chain } };

  it('is over the writers, sorted by bytes', () => {
    fc.assert(
      fc.property(anyWriters, (writers) => {
        expect(sessionRoot(writers)).toBe(slowRoot(writers));
      }),
    );
  });

  it('sorts by UTF-8, where JavaScript would sort otherwise', () => {
    const writers = ['\uff41', '😀'].map((student) => ({ ...ana, student }));
    expect('😀' < '\uff41').toBe(true);
    expect(sessionRoot(writers)).toBe(
      merkleRoot(writers.map(({ student, writer, state }) => writerLeaf(student, writer, state))),
    );
  });

  it('does not depend on the order in which writers come, nor on repeats of one', () => {
    const shuffled = anyWriters.chain((writers) =>
      fc.tuple(fc.constant(writers), fc.shuffledSubarray([...writers, ...writers], { minLength: writers.length * 2 })),
    );
    fc.assert(
      fc.property(shuffled, ([writers, again]) => {
        expect(sessionRoot(again)).toBe(sessionRoot(writers));
      }),
    );
  });

  it('changes with every student, writer, seq and chain', () => {
    const root = sessionRoot([ana]);
    const others: WriterState[] = [
      { ...ana, student: 'anb' },
      { ...ana, writer: 'writer_2' },
      { ...ana, state: { seq: 4, chain } },
      { ...ana, state: { seq: 3, chain: 'ac'.repeat(32) } },
    ];
    for (const other of others) expect(sessionRoot([other])).not.toBe(root);
    expect(sessionRoot([])).not.toBe(root);
  });

  it('is refused when one writer has two states', () => {
    const twice = [ana, { ...ana, state: { seq: 4, chain } }];
    expect(() => sessionRoot(twice)).toThrow(expect.objectContaining({ code: 'root_conflict' }));
  });

  it('has no leaf for what is no state', () => {
    expect(() => writerLeaf('ana', 'writer_1', { seq: -1, chain })).toThrow(RangeError);
    expect(() => writerLeaf('ana', 'writer_1', { seq: 1, chain: 'ab' })).toThrow(RangeError);
  });

  it('takes a hundred thousand writers within seconds', () => {
    const writers = Array.from({ length: 100_000 }, (_, i) => ({ ...ana, student: `student-${(i * 7919) % 100_000}` }));
    const began = performance.now();
    expect(sessionRoot(writers)).toMatch(/^[0-9a-f]{64}$/);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
