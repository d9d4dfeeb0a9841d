import { limits } from '#queue/limits.ts';

/** Admissible payloads that something on the way to a database might change. */
export const awkwardPayloads: readonly string[] = [
  ...['null', 'true', '""', '[]', '{}', '0', '-0', '1e999', '-1E+400', '0.1e-400', '1.0', '1.50'],
  '123456789012345678901234567890.00000000000000000001',
  '{"a":1,"a":2}',
  '{"b" : 1 ,\r\n\t"a": [ 1,  2 ] }',
  // Escapes stay as they stood.
  String.raw`"\u0041\/\b\f\n\r\t\"\\ \ud83d\ude00 \uD83D\uDE00 \u0001 \u00e9 \ufeff"`,
  String.raw`"\\u0000 \\ud800"`,
  // Characters of every length and plane, unassigned ones and non-characters, and what normalising would change.
  '"\u007f\u0080\u009f\u00a0é e\u0301 ß ﬁ \u07ff\u0800\u2028\u2029\u200b\u202e\ufdd0\ufeff\ufffd\ufffe\uffff"',
  '"\u{10000}\u{1f9a4}\u{1f468}\u200d\u{1f469}\u{2fffe}\u{3ffff}\u{e0001}\u{f0000}\u{10ffff}"',
  '"Ａ Å Å 가 가"',
  // What SQL, formats and templates might take for their own.
  `"'; DROP TABLE \\"EXAM_ANSWERS\\"; -- /* */ $1 :x ? %s \${x} {{x}} \\\\x41 \\\\N NULL"`,
  '"a,b;c|d\\tf"',
  '"  spaces  "',
  '"."',
  // The greatest ones.
  `"${'x'.repeat(limits.payloadBytes - 2)}"`,
  `"${'\u{1f9a4}'.repeat(Math.floor((limits.payloadBytes - 2) / 4))}"`,
  `${'['.repeat(limits.payloadBytes / 2 - 8)}${']'.repeat(limits.payloadBytes / 2 - 8)}`,
];

/** Admissible ids of students that a database might confuse, trim or reorder. */
export const awkwardStudents: readonly string[] = [
  ...[
    'A',
    'a',
    'Ａ',
    'ss',
    'SS',
    'ß',
    'Zoë',
    ' leading',
    'trailing',
    'trailing ',
    'a b',
    "O'Brien",
    '"',
    '\\',
    '%',
    '_',
  ],
  ...['NULL', '0', '00', '-1', 'x:y:z', 'a,b', '\u{1f9a4}', '\ufeffbom', '\ufffd', '\u202ertl', '\u{10ffff}', '\uffff'],
  'n'.repeat(limits.studentBytes),
  '\u{1f9a4}'.repeat(limits.studentBytes / 4),
];

/** RECEIVED_AT and DURABLE_AT: the first ms, a summer time's hour that local clocks have twice, the last that a batch holds. */
export const awkwardTimes: readonly (readonly [receivedAt: number, durableAt: number])[] = [
  [0, 1],
  [1_761_438_600_123, 1_761_442_200_123],
  [951_782_400_000, 951_868_799_999],
  [2 ** 48 - 1, 2 ** 48 - 1],
  [253_402_300_799_999, 253_402_300_800_000],
];
