import { beforeAll, describe } from 'vitest';
import { backups, falseProofs } from './resilience/backup.ts';
import { deletions } from './resilience/deletion.ts';
import { drifts } from './resilience/drift.ts';
import { beginExam, type Exam } from './resilience/exam.ts';
import { type Hall, openHall, smallSpec, whyNoHall } from './resilience/hall.ts';
import { drains } from './resilience/node.ts';
import { operatorsAway } from './resilience/operatoraway.ts';
import { pauses } from './resilience/pause.ts';
import { shortages } from './resilience/shortage.ts';
import { upgrades } from './resilience/upgrade.ts';
import { lostVolumes } from './resilience/volume.ts';

/*
 * What users of operators complain of, shown not to happen, on one whole cluster: each file of resilience/ is one such
 * trouble. One exam lives through all of it, and at its end every answer that was ever acknowledged is in the table.
 * Its students are the project's own clients, in this process.
 */
const reason = await whyNoHall(process.env);
if (reason !== null) console.error(`the troubles of a whole cluster are left out: ${reason}`);

describe.skipIf(reason !== null)('an exam lives through', () => {
  let hall: Hall;
  let exam: Exam;
  beforeAll(async () => {
    hall = await openHall();
    exam = await beginExam(hall, 'algebra', smallSpec({ students: 60, shards: 2, replicas: 3, graceSeconds: 6 }));
  }, 300_000);
  const [here, it] = [() => hall, () => exam];

  describe('upgrades', () => upgrades(here, it));
  describe('pods that no node takes', () => shortages(here));
  describe('a node that is drained', () => drains(here, it));
  describe('people who change its parts', () => drifts(here, it));
  describe('a pause', () => pauses(here, it));
  describe('proofs that are none', () => falseProofs(here, it));
  describe('volumes that are lost', () => lostVolumes(here, it));
  describe('deletions of others', () => deletions(here));
  describe('an operator that is away', () => operatorsAway(here, it));
  describe('backups that are restored', () => backups(here, it));
});
