import { describe, expect, test } from 'vitest';
import type { Outbox } from '#client/outbox.ts';
import { checkWriter } from '#queue/identity.ts';

/**
 * What every implementation of the outbox port must pass (client/outbox.ts lists the rules).
 * @param make an outbox on a new, empty store, and a way to see that store through another object, as another client or
 *   a later process would
 */
export function outboxConformance(name: string, make: () => { outbox: Outbox; again: () => Outbox }): void {
  const binding = { session: 'uid-1', student: 'Zoë', origin: 'ab'.repeat(32) };
  const texts = ['{"a":"ü🦤\\n\\u0001"}', '""', '1.50', '{"b": [ 1 ] }', JSON.stringify('x'.repeat(16_000))];

  async function fill(outbox: Outbox): Promise<void> {
    for (const [i, text] of texts.entries()) await outbox.append(i + 1, text);
  }

  describe(`outbox: ${name}`, () => {
    test('a new one has a writer of its own and nothing else', async () => {
      const [one, two] = [make().outbox, make().outbox];
      const contents = await one.open();
      expect(contents).toEqual({ writer: contents.writer, texts: [], binding: null, told: null });
      expect(checkWriter(contents.writer)).toBeNull();
      expect((await two.open()).writer).not.toBe(contents.writer);
      await Promise.all([one.close(), two.close()]);
    });

    test('gives back what was kept, to the byte, in order, with its writer, binding and last told', async () => {
      const { outbox, again } = make();
      const { writer } = await outbox.open();
      await fill(outbox);
      await outbox.bind(binding);
      outbox.tell({ seq: 1, incarnation: 'one' });
      outbox.tell({ seq: 3, incarnation: 'two' });
      await outbox.close();
      const later = again();
      const told = { seq: 3, incarnation: 'two' };
      expect(await later.open()).toEqual({ writer, texts, binding, told });
      await later.append(texts.length + 1, '"more"');
      await later.close();
      const last = again();
      expect((await last.open()).texts).toEqual([...texts, '"more"']);
      await last.close();
    });

    test('appends that are started together are kept in the order of the calls', async () => {
      const { outbox, again } = make();
      await outbox.open();
      const many = Array.from({ length: 200 }, (_, i) => `"event ${i + 1}"`);
      const order: number[] = [];
      await Promise.all(
        many.map(async (text, i) => {
          await outbox.append(i + 1, text);
          order.push(i + 1);
        }),
      );
      expect(order).toEqual(many.map((_, i) => i + 1));
      await outbox.close();
      const later = again();
      expect((await later.open()).texts).toEqual(many);
      await later.close();
    });

    test('the array that open gives is the receiver’s to append to', async () => {
      const { outbox, again } = make();
      const { texts: mine } = await outbox.open();
      mine.push('"mine only"');
      await outbox.append(1, '"kept"');
      await outbox.close();
      const later = again();
      expect((await later.open()).texts).toEqual(['"kept"']);
      await later.close();
    });

    test('one client at a time: a second is refused, through this object and through another', async () => {
      const { outbox, again } = make();
      const other = again();
      await outbox.open();
      await expect(other.open()).rejects.toMatchObject({ code: 'outbox_in_use' });
      if (other !== outbox) await expect(outbox.open()).rejects.toMatchObject({ code: 'outbox_in_use' });
      await outbox.append(1, '"still mine"');
      await outbox.close();
      expect((await other.open()).texts).toEqual(['"still mine"']);
      await other.close();
    });

    test('closed twice is closed; closed, it takes nothing', async () => {
      const { outbox } = make();
      await outbox.close();
      await outbox.open();
      await outbox.close();
      await outbox.close();
      await expect((async () => outbox.append(1, '"late"'))()).rejects.toMatchObject({ code: 'outbox_closed' });
    });

    test('cleared, it is a new outbox with another writer at the next opening, and takes nothing before', async () => {
      const { outbox, again } = make();
      const { writer } = await outbox.open();
      await fill(outbox);
      await outbox.bind(binding);
      await outbox.clear();
      await expect((async () => outbox.append(1, '"late"'))()).rejects.toMatchObject({ code: 'outbox_closed' });
      await outbox.close();
      const later = again();
      const contents = await later.open();
      expect(contents).toEqual({ writer: contents.writer, texts: [], binding: null, told: null });
      expect(contents.writer).not.toBe(writer);
      await later.close();
    });
  });
}
