#!lua flags=no-writes
-- What cameras of one shard said last of their designs, unless it is known already.
-- KEYS: plan of each    ARGV: the entry id that is known of each, or ''
-- A key of another type has none: its neighbours are shown.
-- Nor one that holds more than a camera has to say: how much it adds is up to it.
-- Answers for each {entry id, explanation}, or {} where there is nothing newer
local MOST_BYTES, answer = 262144, {}
for i, key in ipairs(KEYS) do
  answer[i] = {}
  if redis.call('TYPE', key).ok == 'stream' and redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) <= MOST_BYTES then
    local entry = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    if entry and entry[1] ~= ARGV[i] then
      local fields = {}
      for j = 1, #entry[2], 2 do fields[entry[2][j]] = entry[2][j + 1] end
      if fields['p'] then answer[i] = {entry[1], fields['p']} end
    end
  end
end
return answer
