import { beforeAll } from 'vitest';
import { sinkConformance } from '#test/conformance/sink.ts';
import type { TestPostgres } from '#test/support/postgres.ts';
import { postgresTarget, startExamServer } from './postgrestarget.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startExamServer();
}, 90_000);

sinkConformance('PostgreSQL', () => postgresTarget(server));
