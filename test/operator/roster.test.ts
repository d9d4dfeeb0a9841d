import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deadlinesOf } from '#operator/deadlines.ts';
import { readRoster } from '#operator/roster.ts';
import { checkStudent } from '#queue/identity.ts';
import { sessionOf } from './facts.ts';

describe('a roster', () => {
  test('gives minutes by student', () => {
    const csv = '\uFEFFstudent,extra minutes\r\nada,15\r\n"lovelace, ada ""x""", 30\r\n\r\nbob,0\r\n';
    expect([...readRoster(csv)]).toEqual([
      ['ada', 15],
      ['lovelace, ada "x"', 30],
      ['bob', 0],
    ]);
  });

  test('names every wrong line', () => {
    const wrong = 'ada,15\nada,20\nbob\ncarl,ten\n,5\ndan,-1\neve,99999\nf\u0007red,1\n"gus,1';
    expect(() => readRoster(wrong)).toThrow(
      /line 2: ada stands in an earlier line.*line 3: it is not.*line 4: the extra minutes.*line 5: the student id is empty.*line 6.*line 7.*line 8: .*control.*line 9: it is not/s,
    );
  });

  test('tells the first twenty of many faults', () => {
    const wrong = Array.from({ length: 1000 }, (_, i) => `s${i},x`).join('\n');
    expect(() => readRoster(wrong)).toThrow(/line 20:.*and 980 more lines$/s);
  });

  test('takes every student id that the queue takes', () => {
    const student = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((id) => checkStudent(id) === null);
    fc.assert(
      fc.property(fc.uniqueArray(student, { maxLength: 10 }), (students) => {
        const csv = students.map((id) => `"${id.replaceAll('"', '""')}",7`).join('\n');
        expect([...readRoster(`student,minutes\n${csv}`).keys()]).toEqual(students);
      }),
    );
  });
});

describe('deadlines', () => {
  const { spec } = sessionOf('closesAt: "2026-05-04T12:00:00+02:00"');
  const closesAt = Date.parse('2026-05-04T10:00:00Z');

  test('are closesAt, and for the roster its minutes later', () => {
    const roster = new Map([
      ['ada', 15],
      ['bob', 60],
      ['carl', 0],
    ]);
    const deadlines = deadlinesOf(spec, roster);
    expect(deadlines).toMatchObject({ closesAt, last: closesAt + 3_600_000 });
    expect([...deadlines.own]).toEqual([
      ['ada', closesAt + 900_000],
      ['bob', closesAt + 3_600_000],
    ]);
  });

  test('have a version that changes exactly when they do', () => {
    const version = (roster: [string, number][], of = spec) => deadlinesOf(of, new Map(roster)).version;
    const a = version([
      ['ada', 15],
      ['bob', 60],
    ]);
    expect(
      version([
        ['bob', 60],
        ['ada', 15],
      ]),
    ).toBe(a);
    expect(
      version([
        ['ada', 16],
        ['bob', 60],
      ]),
    ).not.toBe(a);
    expect(version([['ada', 15]])).not.toBe(a);
    expect(
      version(
        [
          ['ada', 15],
          ['bob', 60],
        ],
        sessionOf('closesAt: "2026-05-04T10:00:01Z"').spec,
      ),
    ).not.toBe(a);
  });

  test('are none without closesAt', () => {
    expect(deadlinesOf(sessionOf('').spec, new Map())).toMatchObject({ closesAt: null, last: null });
  });
});
