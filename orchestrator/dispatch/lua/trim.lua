-- Trim a stream to its caps, oldest first, without looking into any entry: one may be larger than anyone can read.
-- KEYS: fence, in, out, ledger, dead
-- ARGV: 1 token, 2 most entries, 3 most bytes, 4 most bytes of an entry, 5 out length, 6 out ttl ms, 7 dead length,
--       8 stream, 9 reason and 10 body and 11 detail of an entry that is too large, 12 group, 13 own name,
--       14... entries that are in flight
-- Answers {trimmed, too large}; {-1, 0} if fenced.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, 0} end
local most, most_bytes, entry_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local length, size = redis.call('XLEN', KEYS[2]), 0
if length > 0 then size = size_bytes(KEYS[2]) end
if length <= most and size <= most_bytes then return {0, 0} end
local uncountable = refuse_uncountable(KEYS[4], {'trimmed', 'outside', 'refused:' .. ARGV[9]})
if uncountable then return uncountable end
-- Frames in flight were read. Their own ends book them, by what is pending: so they are not counted here.
local in_flight = {}
for i = 14, #ARGV do
  redis.call('XDEL', KEYS[2], ARGV[i])
  in_flight[ARGV[i]] = true
end
local trimmed, too_large, looks, step = redis.call('XTRIM', KEYS[2], 'MAXLEN', most), 0, 0, 1
length, size = redis.call('XLEN', KEYS[2]), size_bytes(KEYS[2])
while size > most_bytes and length > 0 do
  local removed = redis.call('XTRIM', KEYS[2], 'MAXLEN', math.max(0, length - step))
  local left = size_bytes(KEYS[2])
  if step == 1 and size - left > entry_bytes then too_large = too_large + 1 else trimmed = trimmed + removed end
  length, size, looks = length - removed, left, looks + 1
  if looks >= 32 then step = step * 2 end -- each look costs by the length: no flood makes us look a thousand times
end
-- What was delivered to nobody who lives is pending no longer: XCLAIM forgets what does not exist (Redis 7), unread
local gone, pending = {}, redis.pcall('XPENDING', KEYS[2], ARGV[12], '-', '+', 256)
for _, each in ipairs(pending.err and {} or pending) do
  if not in_flight[each[1]] then gone[#gone + 1] = each[1] end
end
if #gone > 0 then
  gone[#gone + 1] = 'JUSTID'
  redis.call('XCLAIM', KEYS[2], ARGV[12], ARGV[13], 0, unpack(gone))
end
if trimmed > 0 then redis.call('HINCRBY', KEYS[4], 'trimmed', trimmed) end
for _ = 1, too_large do
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'k', 'refused', 'p', ARGV[10])
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[7], '*', 'stream', ARGV[8], 'reason', ARGV[9],
    'detail', ARGV[11], 'head', '', 'size', '', 'deliveries', '', 'entry', '')
end
if too_large > 0 then
  redis.call('PEXPIRE', KEYS[3], ARGV[6])
  redis.call('HINCRBY', KEYS[4], 'outside', too_large)
  redis.call('HINCRBY', KEYS[4], 'refused:' .. ARGV[9], too_large)
end
return {trimmed, too_large}
