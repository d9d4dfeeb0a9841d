import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFrame, decodeRecord, decodeSubmit, type Frame } from '#gateway/frame.ts';
import { limits } from '#queue/limits.ts';

const decode = (text: string): Frame => decodeFrame(Buffer.from(text), 0, Buffer.byteLength(text));
const long = (text: string): Frame => decodeRecord(Buffer.from(text), 0, Buffer.byteLength(text));
const quick = (text: string): Frame | null => decodeSubmit(Buffer.from(text), 0, Buffer.byteLength(text));

const ours = (seq: number | string, event: string) => `{"type":1,"target":"Submit","arguments":[${seq},${event}]}`;
const stockSend = (seq: number | string, event: string) => `{"target":"Submit","arguments":[${seq},${event}],"type":1}`;
const stockInvoke = (seq: number | string, event: string, id: string) =>
  `{"target":"Submit","arguments":[${seq},${event}],"invocationId":"${id}","type":1}`;

/** JSON values of every kind as text, with the white space and escapes that other writers make. */
const eventText = fc.oneof(
  fc.json(),
  fc.jsonValue().map((value) => JSON.stringify(value, null, 1)),
  fc.constantFrom(
    '"],\\"type\\":7}"',
    '"]}"',
    '"\\\\"',
    '{"a":"],\\"invocationId\\":\\"1"}',
    '[[]]',
    '""',
    'null',
    '-0.5e+3',
  ),
);

describe('a Submit', () => {
  it.each([
    ['ours', ours(7, '{"a": 1}'), null],
    ['a stock send', stockSend(7, '{"a": 1}'), null],
    ['a stock invocation', stockInvoke(7, '{"a": 1}', '12'), '12'],
  ])('in the shape of %s is read the quick way, its payload as it stood', (_, text, invocationId) => {
    expect(quick(text)).toEqual({ kind: 'submit', invocationId, seq: 7, payload: Buffer.from('{"a": 1}') });
    expect(long(text)).toEqual(quick(text));
  });

  it('may have its members in any order, with white space', () => {
    const text =
      ' { "invocationId" : "a b" , "arguments" : [ 3 ,\n {"x" : [1, "é"]}\t] , "t\\u0079pe" : 1 , "target":"Submit" } ';
    const payload = Buffer.from('{"x" : [1, "é"]}');
    expect(decode(text)).toEqual({ kind: 'submit', invocationId: 'a b', seq: 3, payload });
  });

  it('is read the same way by both decoders, whatever the event', async () => {
    const shapes = fc.tuple(fc.integer({ min: -1, max: 2 ** 40 }), eventText, fc.nat(99_999), fc.constantFrom(0, 1, 2));
    await fc.assert(
      fc.property(shapes, ([seq, event, id, shape]) => {
        const text = [ours(seq, event), stockSend(seq, event), stockInvoke(seq, event, String(id))][shape]!;
        expect(decode(text)).toEqual(long(text));
      }),
      { numRuns: 500 },
    );
  });

  it('is read the same way by both decoders after bytes were changed, cut out, or doubled', async () => {
    const changes = fc.array(
      fc.tuple(fc.nat(300), fc.constantFrom('[', ']', '{', '}', '"', ',', ':', '\\', '7', ' ', '')),
      {
        minLength: 1,
        maxLength: 3,
      },
    );
    await fc.assert(
      fc.property(eventText, fc.constantFrom(0, 1, 2), changes, fc.boolean(), (event, shape, edits, insert) => {
        let text = [ours(5, event), stockSend(5, event), stockInvoke(5, event, '8')][shape]!;
        for (const [at, char] of edits) {
          const place = at % text.length;
          text = text.slice(0, place) + char + text.slice(place + (insert ? 0 : 1));
        }
        expect(decode(text)).toEqual(long(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('that is let through is one JSON text whose second argument is the payload', async () => {
    await fc.assert(
      fc.property(
        eventText,
        fc.nat(200),
        fc.constantFrom('[1]', '"', ',"type":7', '],[', '\\', '}'),
        (event, at, piece) => {
          const whole = stockInvoke(4, event, '3');
          const text = whole.slice(0, at) + piece + whole.slice(at);
          const frame = decode(text);
          if (frame.kind !== 'submit') return;
          const parsed = JSON.parse(text);
          expect(JSON.parse(frame.payload.toString())).toEqual(parsed.arguments[1]);
          expect(frame.seq).toBe(parsed.arguments[0]);
          expect(parsed.type).toBe(1);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['too large', JSON.stringify('x'.repeat(limits.payloadBytes)), 'payload_too_large'],
    ['with NUL', '"a\\u0000"', 'payload_nul'],
    ['with half a pair', '{"\\ud800":1}', 'payload_lone_surrogate'],
  ])('with an event %s is unfit', (_, event, refusal) => {
    expect(decode(stockInvoke(2, event, '1'))).toEqual({ kind: 'unfit', invocationId: '1', seq: 2, refusal });
  });

  it.each(['0', '-1', '1.5', '1e99', '"1"', 'null', '9007199254740993'])(
    'with the seq %s is a call without arguments',
    (seq) => {
      expect(decode(ours(seq, '1'))).toEqual({ kind: 'call', invocationId: null, target: 'Submit', args: [] });
    },
  );

  it('with another number of arguments is a call', () => {
    expect(decode('{"type":1,"target":"Submit","arguments":[1]}')).toMatchObject({ kind: 'call', args: [1] });
    expect(decode('{"type":1,"target":"Submit","arguments":[1,2,3]}')).toMatchObject({ kind: 'call', args: [1, 2, 3] });
  });
});

describe('a record that breaks the protocol', () => {
  it.each([
    '',
    ' ',
    'null',
    '[]',
    '{',
    '{}',
    '{"type":6}{"type":6}',
    '{"type":6} x',
    '{"type":6,}',
    '{"type":6 "x":1}',
    '{type:6}',
    '{"type":"6"}',
    '{"type":1.5}',
    '{"type":1e400}',
    '{"type":6,"x":tru}',
    '{"type":6,"type":6}',
    '{"type":6,"t\\u0079pe":6}',
    '{"type":1,"target":"Submit","arguments":[1,2],"type":7}',
    '{"type":1,"target":"Submit","target":"Submit","arguments":[1,2]}',
    '{"type":1,"target":"Submit","arguments":[1,2],"arguments":[1,2]}',
    '{"type":1,"target":"Submit","arguments":[1,{"a":1]}',
    '{"type":1,"target":"Submit","arguments":[1,{"a":1}}]}',
    '{"type":1,"target":"Submit","arguments":[1,]}',
    '{"type":1,"target":"Submit","arguments":[01,2]}',
    '{"type":1,"target":"Submit","arguments":[,1]}',
    '{"type":1,"target":"Submit","arguments":[1,2]]}',
    '{"type":1,"target":"Submit","arguments":{"0":1,"1":2}}',
    '{"type":1,"target":"Submit"}',
    '{"type":1,"target":7,"arguments":[]}',
    '{"type":1,"target":"","arguments":[]}',
    '{"type":1,"target":"Open","arguments":[],"invocationId":7}',
    '{"type":1,"target":"Open","arguments":[],"invocationId":""}',
    '{"type":1,"target":"Open","arguments":[],"invocationId":"a\\"b"}',
    `{"type":1,"target":"Open","arguments":[],"invocationId":"${'1'.repeat(65)}"}`,
    '{"type":1,"target":"Open","arguments":[tru]}',
    '{"type":4,"target":"Open","arguments":[]}',
    '{"type":6,"arguments":[}]}',
    `{"type":1,"target":"Submit","arguments":[1,${JSON.stringify('x'.repeat(20_000))}x]}`,
    `{${Array.from({ length: 17 }, (_, index) => `"k${index}":1`).join()},"type":6}`,
    `{"type":1,"target":"Open","arguments":[${'1,'.repeat(16)}1]}`,
    '['.repeat(60_000),
    '{"a":'.repeat(10_000),
  ])('%.80s is malformed', (text) => {
    expect(decode(text)).toEqual({ kind: 'malformed', reason: expect.any(String) });
  });

  it('never makes the decoder throw', async () => {
    await fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeFrame(Buffer.from(bytes), 0, bytes.length)).toHaveProperty('kind');
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('other records', () => {
  it.each([
    ['{"type":6}', { kind: 'ping' }],
    ['{"type":7}', { kind: 'close' }],
    ['{"type":7,"error":"x","allowReconnect":true}', { kind: 'close' }],
    ['{"type":3,"invocationId":"1","result":1}', { kind: 'ignored' }],
    ['{"type":8,"sequenceId":1}', { kind: 'ignored' }],
    ['{"type":99,"arguments":[1]}', { kind: 'ignored' }],
    ['{"type":4,"invocationId":"1","target":"x","arguments":[]}', { kind: 'stream', invocationId: '1' }],
    [
      '{"target":"Open","arguments":["writer-1",{"seq":3}],"invocationId":"0","type":1}',
      { kind: 'call', invocationId: '0', target: 'Open', args: ['writer-1', { seq: 3 }] },
    ],
    [
      '{"type":1,"target":"State","arguments":[],"headers":{"a":"b"}}',
      { kind: 'call', invocationId: null, target: 'State', args: [] },
    ],
  ])('%s', (text, frame) => {
    expect(decode(text)).toEqual(frame);
  });
});
