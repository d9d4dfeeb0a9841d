import fc from 'fast-check';
import { expect, test } from 'vitest';
import { invokeRecord, readHandshake, readRecord, sendRecord, splitRecords } from '#client/hubrecords.ts';

test('what is written is JSON that says it, with the arguments as they were given', () => {
  fc.assert(
    fc.property(fc.array(fc.json()), fc.json(), (earlier, text) => {
      const message = earlier.map((one) => sendRecord('Submit', '3', one)).join('') + invokeRecord('7', 'Open', text);
      const records = splitRecords(message)!;
      expect(records).toHaveLength(earlier.length + 1);
      for (const [i, one] of earlier.entries()) expect(records[i]).toContain(`[3,${one}]`);
      expect(JSON.parse(records.at(-1)!)).toEqual({
        type: 1,
        invocationId: '7',
        target: 'Open',
        arguments: [JSON.parse(text)],
      });
    }),
  );
});

test('reads what servers send, whatever the order of the members', () => {
  expect(readRecord('{"type":1,"target":"Durable","arguments":[5]}')).toEqual({
    kind: 'invocation',
    target: 'Durable',
    args: [5],
  });
  expect(readRecord('{"arguments":[],"target":"X","type":1}')).toEqual({ kind: 'invocation', target: 'X', args: [] });
  expect(readRecord('{"type":3,"invocationId":"2","error":"gap:4"}')).toMatchObject({ id: '2', error: 'gap:4' });
  expect(readRecord('{"type":3,"invocationId":"2","result":{"a":1}}')).toMatchObject({ error: null, result: { a: 1 } });
  expect(readRecord('{"type":6}')).toEqual({ kind: 'ping' });
  expect(readRecord('{"type":7,"error":"bye"}')).toEqual({ kind: 'close', error: 'bye' });
  expect(readRecord('{"type":99}')).toEqual({ kind: 'ignored' });
  expect(readHandshake('{}')).toBeNull();
  expect(readHandshake('{"error":"no such protocol"}')).toBe('no such protocol');
  expect(readHandshake('nonsense')).not.toBeNull();
});

test('nothing that arrives makes it throw', () => {
  const junk = fc.oneof(fc.string(), fc.json(), fc.record({ type: fc.anything(), arguments: fc.anything() }).map(show));
  fc.assert(
    fc.property(junk, (text) => {
      readRecord(text);
      readHandshake(text);
      splitRecords(text);
    }),
  );
  expect(readRecord('{"type":1,"target":"Durable","arguments":5}')).toBeNull();
  expect(readRecord('[]')).toBeNull();
  expect(splitRecords('{"type":6}')).toBeNull();
});

function show(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '{';
  }
}
