import { metaFormat } from '../keys.ts';

/** Gives an empty Redis its identity. PROTOCOL.md, "Scripts", says what it answers. */
export const initScript = `
-- init: writes meta, once, into an empty database. Repeated with the same values it changes nothing.
-- KEYS 1 meta
-- ARGV 1 incarnation, 2 uid, 3 exam, 4 shard, 5 shards
local names = {'incarnation', 'uid', 'exam', 'shard', 'shards'}
if redis.call('DBSIZE') == 0 then
  redis.call('HSET', KEYS[1], 'format', '${metaFormat}', 'incarnation', ARGV[1],
    'uid', ARGV[2], 'exam', ARGV[3], 'shard', ARGV[4], 'shards', ARGV[5])
  return {'ok', 'made'}
end
if redis.call('EXISTS', KEYS[1]) == 0 then return {'foreign', 'not empty'} end
if redis.call('HGET', KEYS[1], 'format') ~= '${metaFormat}' then return {'foreign', 'format'} end
for i, name in ipairs(names) do
  if redis.call('HGET', KEYS[1], name) ~= ARGV[i] then return {'foreign', name} end
end
return {'ok', 'same'}
`;
