import { sinkConformance } from '#test/conformance/sink.ts';
import { duckdbTarget } from './duckdbtarget.ts';

sinkConformance('DuckDB', () => duckdbTarget());
