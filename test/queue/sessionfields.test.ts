import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  latePolicies,
  type SessionState,
  sessionFromFields,
  sessionPhases,
  sessionToFields,
} from '#queue/sessionfields.ts';
import { anyChain } from './arbitraries.ts';

const anyTime = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

const anySession: fc.Arbitrary<SessionState> = fc.record({
  phase: fc.constantFrom(...sessionPhases),
  closesAt: orNull(anyTime),
  graceMs: anyTime,
  late: fc.constantFrom(...latePolicies),
  drainUntil: orNull(anyTime),
  verified: orNull(anyChain),
  notice: orNull(fc.string({ unit: 'grapheme', minLength: 1 })),
  rehearsal: fc.boolean(),
  full: fc.boolean(),
  deadlinesVersion: fc.string(),
});

const session: SessionState = {
  phase: 'Active',
  closesAt: null,
  graceMs: 30_000,
  late: 'Refuse',
  drainUntil: null,
  verified: null,
  notice: null,
  rehearsal: false,
  full: false,
  deadlinesVersion: '0',
};

const invalid = expect.objectContaining({ code: 'session_field_invalid' });

describe('the fields of a session', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(anySession, (any) => {
        expect(sessionFromFields(sessionToFields(any))).toEqual(any);
      }),
    );
  });

  it('stand as PROTOCOL.md says', () => {
    expect(sessionToFields({ ...session, closesAt: 1_790_000_000_000, full: true })).toEqual({
      phase: 'Active',
      closesAt: '1790000000000',
      graceMs: '30000',
      late: 'Refuse',
      drainUntil: '',
      verified: '',
      notice: '',
      rehearsal: '0',
      full: '1',
      deadlinesVersion: '0',
    });
  });

  it('can be written one by one, and undone', () => {
    const fields = { ...sessionToFields(session), ...sessionToFields({ notice: 'Read question 3 again', full: true }) };
    expect(sessionFromFields(fields)).toEqual({ ...session, notice: 'Read question 3 again', full: true });
    expect(sessionFromFields({ ...fields, ...sessionToFields({ notice: null }) }).notice).toBeNull();
    expect(sessionToFields({})).toEqual({});
  });

  it('may come with unknown ones, and without those that may be empty', () => {
    expect(sessionFromFields({ phase: 'Active', graceMs: '0', late: 'Mark', newer: 'x' })).toEqual({
      ...session,
      graceMs: 0,
      late: 'Mark',
      deadlinesVersion: '',
    });
  });

  it.each([
    [{}, 'phase'],
    [{ phase: 'active' }, 'phase'],
    [{ graceMs: '' }, 'graceMs'],
    [{ graceMs: '-1' }, 'graceMs'],
    [{ closesAt: '1e3' }, 'closesAt'],
    [{ closesAt: '9007199254740993' }, 'closesAt'],
    [{ drainUntil: 'soon' }, 'drainUntil'],
    [{ late: 'refuse' }, 'late'],
    [{ verified: 'yes' }, 'verified'],
    [{ full: 'true' }, 'full'],
  ])('cannot be read from %j', (fields, name) => {
    const whole = name === 'phase' ? fields : { ...sessionToFields(session), ...fields };
    expect(() => sessionFromFields(whole)).toThrow(invalid);
    expect(() => sessionFromFields(whole)).toThrow(name);
  });

  it.each([
    { closesAt: Number.NaN },
    { closesAt: -1 },
    { graceMs: 1.5 },
    { graceMs: Number.POSITIVE_INFINITY },
    { verified: 'ABC' },
    { notice: '\ud800' },
    { phase: 'Paused' as never },
  ])('cannot be written from %j', (changes) => expect(() => sessionToFields(changes)).toThrow(invalid));
});
