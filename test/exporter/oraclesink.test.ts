import { sinkConformance } from '#test/conformance/sink.ts';
import { oracleTarget } from './oracletarget.ts';

sinkConformance('Oracle', oracleTarget);
