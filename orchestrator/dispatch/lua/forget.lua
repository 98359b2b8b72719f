-- Forget consumers of dispatchers that are gone. XGROUP DELCONSUMER loses what a consumer has pending, so only those
-- that have nothing are removed, in the same step that looks.
-- KEYS: in    ARGV: group, own name, idle ms
-- Answers how many were forgotten.
local forgotten = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  if consumer.name ~= ARGV[2] and consumer.pending == 0 and consumer.idle > tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    forgotten = forgotten + 1
  end
end
return forgotten
