#!lua flags=no-writes
-- The newest mask of streams of one shard, unless it is known already.
-- KEYS: out of each    ARGV: the entry id that is known of each, or ''
-- A key of another type has none: its neighbours are shown.
-- Answers for each {entry id, packet, objects if its camera outlined any}, or {} where there is nothing newer
-- One entry at a time: with heat maps each is a megabyte, and all that are read are copied while the server waits.
local LOOKS, answer = 8, {}
for i, key in ipairs(KEYS) do
  answer[i] = {}
  local readable = redis.call('TYPE', key).ok == 'stream'
  local low = ARGV[i] == '' and '-' or ARGV[i]
  local high = '+'
  for _ = 1, readable and LOOKS or 0 do
    local entry = redis.call('XREVRANGE', key, high, low, 'COUNT', 1)[1]
    if not entry or entry[1] == ARGV[i] then break end
    local fields = {}
    for j = 1, #entry[2], 2 do fields[entry[2][j]] = entry[2][j + 1] end
    if fields['k'] == 'mask' then
      answer[i] = {entry[1], fields['p'], fields['o:objects']}
      break
    end
    high = '(' .. entry[1]
  end
end
return answer
