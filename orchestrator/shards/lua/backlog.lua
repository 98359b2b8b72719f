-- KEYS: feature streams of one shard    ARGV: group, the size in bytes up to which a first entry may be looked at
-- Answers {length, first entry id or '' where it is not known, bytes} for each. Finishing deletes, so the length is what
-- is unfinished. The first that is pending is the first of all: what is not yet read is newer.
-- A key that is no stream has nothing to finish, and its neighbours are counted.
local answer = {}
for i, key in ipairs(KEYS) do
  local length = redis.call('TYPE', key).ok == 'stream' and redis.call('XLEN', key) or 0
  local first, size = '', 0
  if length > 0 then
    size = size_bytes(key)
    local pending = redis.pcall('XPENDING', key, ARGV[1], '-', '+', 1)
    if not pending.err and pending[1] then
      first = pending[1][1]
    elseif size <= tonumber(ARGV[2]) then
      first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1][1]
    end
  end
  answer[i] = {length, first, size}
end
return answer
