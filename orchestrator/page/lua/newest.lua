#!lua flags=no-writes
-- The newest mask of streams of one shard, unless it is known already.
-- KEYS: out of each    ARGV: the entry id that is known of each, or ''
-- Answers for each {entry id, packet}, or {} where there is nothing newer
local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = {}
  for _, entry in ipairs(redis.call('XREVRANGE', key, '+', ARGV[i] == '' and '-' or ARGV[i], 'COUNT', 8)) do
    if entry[1] == ARGV[i] then break end
    local fields = {}
    for j = 1, #entry[2], 2 do fields[entry[2][j]] = entry[2][j + 1] end
    if fields['k'] == 'mask' then
      answer[i] = {entry[1], fields['p']}
      break
    end
  end
end
return answer
