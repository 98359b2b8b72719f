-- KEYS: streams
-- Answers the id of each one's last entry, or ''.
local answer = {}
for i, key in ipairs(KEYS) do
  local last = redis.call('TYPE', key).ok == 'stream' and redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  answer[i] = last and last[1] or ''
end
return answer
