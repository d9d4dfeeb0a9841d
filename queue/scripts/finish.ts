/** Records that a student has finished. PROTOCOL.md, "Scripts", says what it answers. */
export const finishScript = `
-- finish: only what is durable can be finished; the student's later appends are refused. Idempotent.
-- KEYS 1 meta, 2 state, 3 writers, 4 finished
-- ARGV 1 incarnation, 2 student, 3 writer, 4 seq:chain
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then return {'foreign', incarnation and 'incarnation' or 'empty'} end

local claim = ARGV[3] .. ' ' .. ARGV[4]
local before = redis.call('HGET', KEYS[4], ARGV[2])
if before then
  if string.sub(before, 1, #claim + 1) == claim .. ' ' then return {'ok', string.sub(before, #claim + 2)} end
  return {'finished', before}
end
if redis.call('HGET', KEYS[2], 'sealed') then return {'sealed'} end
local current = redis.call('HGET', KEYS[3], ARGV[3] .. ':' .. ARGV[2])
local isEmptyPaper = not current and string.sub(ARGV[4], 1, 2) == '0:'
if current ~= ARGV[4] and not isEmptyPaper then return {'behind', current or '0:'} end

local time = redis.call('TIME')
local ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', KEYS[4], ARGV[2], claim .. ' ' .. ms)
return {'ok', ms}
`;
