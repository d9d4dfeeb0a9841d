import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkStudent } from '#queue/identity.ts';
import { splitWriterField, writerField } from '#queue/keys.ts';
import { anyStudent, anyWriter } from './arbitraries.ts';

describe('the field of a writer', () => {
  it('is taken apart as it was put together, also when the student has colons', () => {
    const withColons = fc.oneof(anyStudent, fc.constantFrom(':', '::', 'a:b', ':a'));
    fc.assert(
      fc.property(anyWriter, withColons, (writer, student) => {
        expect(splitWriterField(writerField(writer, student))).toEqual({ writer, student });
      }),
    );
  });

  it('without a colon has no student that could be believed', () => {
    const { student } = splitWriterField('writer_1');
    expect(checkStudent(student)).not.toBeNull();
  });
});
