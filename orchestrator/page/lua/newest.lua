#!lua flags=no-writes
-- The newest mask of streams of one shard, unless it is known already.
-- KEYS: out of each    ARGV: the entry id that is known of each, or ''
-- A key of another type has none: its neighbours are shown.
-- Answers for each {entry id, packet, objects if its camera outlined any}, or {} where there is nothing newer
local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = {}
  local readable = redis.call('TYPE', key).ok == 'stream'
  local low = ARGV[i] == '' and '-' or ARGV[i]
  for _, entry in ipairs(readable and redis.call('XREVRANGE', key, '+', low, 'COUNT', 8) or {}) do
    if entry[1] == ARGV[i] then break end
    local fields = {}
    for j = 1, #entry[2], 2 do fields[entry[2][j]] = entry[2][j + 1] end
    if fields['k'] == 'mask' then
      answer[i] = {entry[1], fields['p'], fields['o:objects']}
      break
    end
  end
end
return answer
