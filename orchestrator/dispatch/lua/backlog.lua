#!lua flags=no-writes
-- KEYS: feature streams of one shard
-- Answers {length, first entry id or ''} for each. Finishing deletes, so the length is what is unfinished.
-- A key that is no stream has nothing to finish, and its neighbours are counted.
local answer = {}
for i, key in ipairs(KEYS) do
  local length = redis.call('TYPE', key).ok == 'stream' and redis.call('XLEN', key) or 0
  local first = length > 0 and redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  answer[i] = {length, first and first[1] or ''}
end
return answer
