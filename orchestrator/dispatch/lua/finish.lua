-- End one frame, once: fence, window, outcome, ledger, dead letter, acknowledgement, deletion.
-- KEYS: fence, in, out, seen, ledger, dead
-- ARGV: 1 token, 2 group, 3 entry, 4 kind, 5 body, 6 reason, 7 epoch ('' outside any sequence), 8 sequence,
--       9 out length, 10 out ttl ms, 11 dead length, 12 stream, 13 detail, 14 head, 15 size, 16 deliveries
-- Answers {finished | duplicate | again | fenced | jump | stale, lost}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'fenced', 0} end
local verdict, lost = 'placed', 0
if ARGV[7] ~= '' then
  verdict, lost = place(KEYS[4], ARGV[7], tonumber(ARGV[8]))
  if lost > 0 then redis.call('HINCRBY', KEYS[5], 'lost', lost) end
  if verdict == 'jump' or verdict == 'stale' then return {verdict, lost} end
end
local here = redis.call('XACK', KEYS[2], ARGV[2], ARGV[3]) + redis.call('XDEL', KEYS[2], ARGV[3])
if verdict == 'duplicate' or (ARGV[7] == '' and here == 0) then
  if here == 0 then return {'again', 0} end
  redis.call('HINCRBY', KEYS[5], 'duplicate', 1)
  return {'duplicate', 0}
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[9], '*', 'k', ARGV[4], 'p', ARGV[5])
redis.call('PEXPIRE', KEYS[3], ARGV[10])
redis.call('HINCRBY', KEYS[5], ARGV[7] == '' and 'outside' or ARGV[4], 1)
if ARGV[6] ~= '' then redis.call('HINCRBY', KEYS[5], ARGV[4] .. ':' .. ARGV[6], 1) end
if ARGV[4] == 'refused' then
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[11], '*', 'stream', ARGV[12], 'reason', ARGV[6],
    'detail', ARGV[13], 'head', ARGV[14], 'size', ARGV[15], 'deliveries', ARGV[16], 'entry', ARGV[3])
end
return {'finished', lost}
