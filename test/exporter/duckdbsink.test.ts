import { sinkConformance } from '#test/conformance/sink.ts';
import { sinkProof } from '#test/conformance/sinkproof.ts';
import { duckdbTarget } from './duckdbtarget.ts';

sinkConformance('DuckDB', () => duckdbTarget());
sinkProof('DuckDB', () => duckdbTarget());
