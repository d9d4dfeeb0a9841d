import { limits } from '../limits.ts';

/** Appends one batch. PROTOCOL.md, "Scripts", says what it answers. */
export const appendScript = `
-- append: one batch, all of it or nothing. Everything is checked before the first write: Lua does not roll back.
-- KEYS 1 meta, 2 session, 3 state, 4 writers, 5 students, 6 events, 7 finished, 8 deadlines
-- ARGV 1 incarnation, 2 batch, 3 codec, 4 n (events in it), 5 d (its SHA-256),
--      then five for each writer: student, writer, before (seq:chain), after (seq:chain), late (0 or 1)
local incarnation = redis.call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then return {'foreign', incarnation and 'incarnation' or 'empty'} end

local count = tonumber(ARGV[4])
local writers = (#ARGV - 5) / 5
if #ARGV[2] > ${limits.batchBytes} or writers > ${limits.batchWriters} or count > ${limits.batchEvents} then
  return redis.error_reply('LIMIT a batch of ' .. #ARGV[2] .. ' bytes, ' .. writers .. ' writers, ' .. ARGV[4] .. ' events')
end
if writers < 1 or writers ~= math.floor(writers) or #ARGV[5] ~= 64 or (ARGV[3] ~= 'raw' and ARGV[3] ~= 'zstd') then
  return redis.error_reply('BATCH is not described by a codec, a digest and five arguments for each writer')
end

local function seqOf(state) return tonumber(string.sub(state, 1, string.find(state, ':', 1, true) - 1)) end

local state = redis.call('HMGET', KEYS[3], 'sealed', 'digest', 'events', 'bytes', 'entries')
local events, bytes, entries = tonumber(state[3] or '0'), tonumber(state[4] or '0'), tonumber(state[5] or '0')
local session = redis.call('HMGET', KEYS[2], 'full', 'closesAt', 'graceMs', 'late')
local closesAt, grace, marks = tonumber(session[2]), tonumber(session[3]) or 0, session[4] == 'Mark'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local someFinished = redis.call('EXISTS', KEYS[7]) == 1
local someDeadlines = redis.call('EXISTS', KEYS[8]) == 1

local refused = {'refused'}
local seen, fresh = {}, {}
local standing, total = 0, 0
for i = 6, #ARGV, 5 do
  local student, before, after, marked = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4] == '1'
  local field = ARGV[i + 1] .. ':' .. student
  if seen[field] then return redis.error_reply('BATCH names a writer twice') end
  seen[field] = true
  local beforeSeq, afterSeq = seqOf(before), seqOf(after)
  if afterSeq <= beforeSeq then return redis.error_reply('BATCH has a writer without events') end
  total = total + afterSeq - beforeSeq

  local current = redis.call('HGET', KEYS[4], field)
  local kind
  if current and current ~= before then
    local currentSeq = seqOf(current)
    if currentSeq > beforeSeq then kind = 'ahead'
    elseif currentSeq < beforeSeq then kind = 'behind'
    else kind = 'forked' end
    if current == after then standing = standing + 1 end
  elseif not current and beforeSeq > 0 then kind = 'behind'
  elseif someFinished and redis.call('HEXISTS', KEYS[7], student) == 1 then kind = 'finished'
  else
    local has = current and 0 or fresh[student] or tonumber(redis.call('HGET', KEYS[5], student) or '0')
    local deadline = someDeadlines and tonumber(redis.call('HGET', KEYS[8], student)) or closesAt
    local late = deadline ~= nil and now > deadline + grace
    if has >= ${limits.writersPerStudent} then kind = 'quota'
    elseif marked and not late then kind = 'ontime'
    elseif late and not (marked and marks) then kind = 'late'
    elseif not current then fresh[student] = has + 1 end
  end
  if kind then
    refused[#refused + 1] = string.format('%.0f', (i - 6) / 5)
    refused[#refused + 1] = kind
    refused[#refused + 1] = current or '0:'
  end
end
if total ~= count then return redis.error_reply('BATCH has ' .. ARGV[4] .. ' events, its states say ' .. total) end

-- A batch whose every writer stands at its end was appended before; only the reply was lost.
if standing < writers then
  if state[1] then return {'sealed'} end
  if session[1] == '1' then return {'full'} end
end
if #refused > 1 then return refused end

local id = redis.call('XADD', KEYS[6], '*', 'b', ARGV[2], 'c', ARGV[3], 'n', ARGV[4], 'd', ARGV[5])
for i = 6, #ARGV, 5 do
  redis.call('HSET', KEYS[4], ARGV[i + 1] .. ':' .. ARGV[i], ARGV[i + 3])
end
for student, has in pairs(fresh) do redis.call('HSET', KEYS[5], student, string.format('%.0f', has)) end
redis.call('HSET', KEYS[3],
  'events', string.format('%.0f', events + count),
  'bytes', string.format('%.0f', bytes + #ARGV[2]),
  'entries', string.format('%.0f', entries + 1),
  'digest', redis.sha1hex((state[2] or '${'0'.repeat(40)}') .. ':' .. ARGV[5] .. ':' .. ARGV[4]),
  'lastId', id)
return {'ok', id}
`;
