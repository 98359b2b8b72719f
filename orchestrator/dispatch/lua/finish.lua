-- End one frame, once: fence, window, outcome, ledger, dead letter, acknowledgement, deletion.
-- KEYS: fence, in, out, seen, ledger, dead, chain, contexts
-- ARGV: 1 token, 2 group, 3 entry, 4 kind, 5 body, 6 reason, 7 epoch ('' outside any sequence), 8 sequence,
--       9 out length, 10 out ttl ms, 11 dead length, 12 stream, 13 detail, 14 head, 15 size, 16 deliveries,
--       17 place in the chain: key | next | '' (not kept), 18 most packets of it, 19 most bytes of one,
--       20 the context that its packet carried ('': none), 21 most contexts
-- Answers {finished | duplicate | again | fenced | jump | stale, lost}
-- What can fail is looked at before the first change, and the entry is deleted last.
local outside = ARGV[7] == ''
local ended, reason = outside and 'outside' or ARGV[4], ARGV[4] .. ':' .. ARGV[6]

local function remove()
  return redis.call('XACK', KEYS[2], ARGV[2], ARGV[3]) + redis.call('XDEL', KEYS[2], ARGV[3])
end

-- Keep what later frames are coded against, as it came: whoever takes over decodes it again. A chain that grows too long,
-- or has too large a packet in it, is of no use from there on.
local function keep()
  local entry, packet = redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3])[1], nil
  for i = 1, entry and #entry[2] or 0, 2 do
    if entry[2][i] == 'p' then packet = entry[2][i + 1] break end
  end
  if ARGV[17] == 'key' then redis.call('DEL', KEYS[7]) end
  if not packet or #packet > tonumber(ARGV[19]) then
    redis.call('DEL', KEYS[7])
  elseif redis.call(ARGV[17] == 'key' and 'RPUSH' or 'RPUSHX', KEYS[7], packet) > tonumber(ARGV[18]) then
    redis.call('DEL', KEYS[7])
  end
  redis.call('PEXPIRE', KEYS[7], ARGV[10])
end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'fenced', 0} end
local uncountable = refuse_uncountable(KEYS[5], {'lost', 'implausible', 'duplicate', ended, reason})
if uncountable then return uncountable end
local verdict, lost = 'placed', 0
if not outside then
  verdict, lost = place(KEYS[4], ARGV[7], tonumber(ARGV[8]))
  lost = count_lost(KEYS[4], KEYS[5], lost)
  if verdict == 'jump' or verdict == 'stale' then return {verdict, lost} end
end
if verdict == 'duplicate' then
  if remove() == 0 then return {'again', 0} end
  redis.call('HINCRBY', KEYS[5], 'duplicate', 1)
  return {'duplicate', 0}
end
if outside and remove() == 0 then return {'again', 0} end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[9], '*', 'k', ARGV[4], 'p', ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[10])
redis.call('HINCRBY', KEYS[5], ended, 1)
if ARGV[6] ~= '' then redis.call('HINCRBY', KEYS[5], reason, 1) end
if ARGV[4] == 'refused' then
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[11], '*', 'stream', ARGV[12], 'reason', ARGV[6],
    'detail', ARGV[13], 'head', ARGV[14], 'size', ARGV[15], 'deliveries', ARGV[16], 'entry', ARGV[3])
end
if ARGV[17] ~= '' then keep() end
if ARGV[20] ~= '' then
  redis.call('RPUSH', KEYS[8], ARGV[20])
  redis.call('LTRIM', KEYS[8], -ARGV[21], -1)
  redis.call('PEXPIRE', KEYS[8], ARGV[10])
end
if not outside then remove() end
return {'finished', lost}
