import { emptyDigest } from '../keys.ts';

/** Seals the shard: nothing is appended afterwards. PROTOCOL.md, "Scripts", says what it answers. */
export const sealScript = `
-- seal: writes the last entry of the log, with the count and the digest of all before it. Idempotent.
-- KEYS 1 meta, 2 state, 3 events
-- ARGV 1 incarnation
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then return {'foreign', incarnation and 'incarnation' or 'empty'} end

local state = redis.call('HMGET', KEYS[2], 'sealed', 'sealId', 'events', 'digest', 'entries')
local events, digest = state[3] or '0', state[4] or '${emptyDigest}'
if state[1] then return {'ok', state[1], state[2], events, digest} end
local entries = string.format('%.0f', tonumber(state[5] or '0') + 1)
local time = redis.call('TIME')
local ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))

local id = redis.call('XADD', KEYS[3], '*', 'b', '', 'c', 'seal', 'n', '0', 'd', digest, 'events', events)
redis.call('HSET', KEYS[2],
  'sealed', ms, 'sealId', id, 'lastId', id, 'entries', entries, 'events', events, 'digest', digest)
return {'ok', ms, id, events, digest}
`;
