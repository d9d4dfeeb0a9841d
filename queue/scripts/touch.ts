/** The barrier write. PROTOCOL.md, "Scripts", says why and what it answers. */
export const touchScript = `
-- touch: one synced write, before anything that was read from this Redis is believed.
-- KEYS 1 meta, 2 barrier
-- ARGV 1 incarnation
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then return {'foreign', incarnation and 'incarnation' or 'empty'} end

local time = redis.call('TIME')
local ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('SET', KEYS[2], ms)
return {'ok', ms}
`;
