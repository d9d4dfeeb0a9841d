import { emptyDigest } from '../keys.ts';
import { limits } from '../limits.ts';

/**
 * Appends one batch. PROTOCOL.md, "Scripts", says what it answers. `writers` is read and written by the hundred: one
 * call each would take a quarter more of Redis's time, and more than a constant number on the stack can fail.
 */
export const appendScript = `
-- append: one batch, all of it or nothing. Everything is checked before the first write: Lua does not roll back.
-- KEYS 1 meta, 2 session, 3 state, 4 writers, 5 students, 6 events, 7 finished, 8 deadlines
-- ARGV 1 incarnation, 2 batch, 3 codec, 4 n (events in it), 5 d (its SHA-256),
--      then five for each writer: student, writer, before (seq:chain), after (seq:chain), late (0 or 1)
local KEYS, ARGV, call, find, sub, tonumber = KEYS, ARGV, redis.call, string.find, string.sub, tonumber
local incarnation = call('HGET', KEYS[1], 'incarnation')
if incarnation ~= ARGV[1] then return {'foreign', incarnation and 'incarnation' or 'empty'} end

local count = tonumber(ARGV[4])
local writers = (#ARGV - 5) / 5
if #ARGV[2] > ${limits.batchBytes} or writers > ${limits.batchWriters} or count > ${limits.batchEvents} then
  return redis.error_reply('LIMIT a batch of ' .. #ARGV[2] .. ' bytes, ' .. writers .. ' writers, ' .. ARGV[4] .. ' events')
end
if writers < 1 or writers ~= math.floor(writers) or #ARGV[5] ~= 64 or (ARGV[3] ~= 'raw' and ARGV[3] ~= 'zstd') then
  return redis.error_reply('BATCH is not described by a codec, a digest and five arguments for each writer')
end

local state = call('HMGET', KEYS[3], 'sealed', 'digest', 'events', 'bytes', 'entries')
local events, bytes, entries = tonumber(state[3] or '0'), tonumber(state[4] or '0'), tonumber(state[5] or '0')
local session = call('HMGET', KEYS[2], 'full', 'closesAt', 'graceMs', 'late')
local closesAt, grace, marks = tonumber(session[2]), tonumber(session[3]) or 0, session[4] == 'Mark'
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local someFinished = call('EXISTS', KEYS[7]) == 1
local someDeadlines = call('EXISTS', KEYS[8]) == 1

local fields, seen = {}, {}
for w = 1, writers do
  local field = ARGV[5 * w + 2] .. ':' .. ARGV[5 * w + 1]
  if seen[field] then return redis.error_reply('BATCH names a writer twice') end
  fields[w], seen[field] = field, true
end
local stored = {}
for from = 1, writers, 100 do
  local some = call('HMGET', KEYS[4], unpack(fields, from, math.min(from + 99, writers)))
  for i = 1, #some do stored[from + i - 1] = some[i] end
end

local function seqOf(text) return tonumber(sub(text, 1, find(text, ':', 1, true) - 1)) end

-- How many writers a student has, and then has: counted once for all writers of a batch.
local fresh = {}
local function refusal(student, current, before, beforeSeq, marked)
  if current and current ~= before then
    local currentSeq = seqOf(current)
    return currentSeq > beforeSeq and 'ahead' or currentSeq < beforeSeq and 'behind' or 'forked'
  end
  if not current and beforeSeq > 0 then return 'behind' end
  if someFinished and call('HEXISTS', KEYS[7], student) == 1 then return 'finished' end
  local has = current and 0 or fresh[student] or tonumber(call('HGET', KEYS[5], student) or '0')
  if has >= ${limits.writersPerStudent} then return 'quota' end
  local deadline = someDeadlines and tonumber(call('HGET', KEYS[8], student)) or closesAt
  local late = deadline ~= nil and now > deadline + grace
  if marked and not late then return 'ontime' end
  if late and not (marked and marks) then return 'late' end
  if not current then fresh[student] = has + 1 end
end

local refused = {'refused'}
local standing, total = 0, 0
for w = 1, writers do
  local i = 5 * w + 1
  local before, after, current = ARGV[i + 2], ARGV[i + 3], stored[w]
  local beforeSeq, afterSeq = seqOf(before), seqOf(after)
  if afterSeq <= beforeSeq then return redis.error_reply('BATCH has a writer without events') end
  total = total + afterSeq - beforeSeq
  if current == after then standing = standing + 1 end
  local kind = refusal(ARGV[i], current, before, beforeSeq, ARGV[i + 4] == '1')
  if kind then
    refused[#refused + 1] = string.format('%.0f', w - 1)
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

local id = call('XADD', KEYS[6], '*', 'b', ARGV[2], 'c', ARGV[3], 'n', ARGV[4], 'd', ARGV[5])
for from = 1, writers, 100 do
  local pairs = {}
  for w = from, math.min(from + 99, writers) do
    pairs[#pairs + 1] = fields[w]
    pairs[#pairs + 1] = ARGV[5 * w + 4]
  end
  call('HSET', KEYS[4], unpack(pairs))
end
for student, has in pairs(fresh) do call('HSET', KEYS[5], student, string.format('%.0f', has)) end
call('HSET', KEYS[3],
  'events', string.format('%.0f', events + count),
  'bytes', string.format('%.0f', bytes + #ARGV[2]),
  'entries', string.format('%.0f', entries + 1),
  'digest', redis.sha1hex((state[2] or '${emptyDigest}') .. ':' .. ARGV[5] .. ':' .. ARGV[4]),
  'lastId', id)
return {'ok', id}
`;
