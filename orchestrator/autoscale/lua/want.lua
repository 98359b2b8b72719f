-- Say how many servers hosts shall have, unless a newer leader was given its token, or spoke before.
-- KEYS: wanted, fence    ARGV: token, then a host and its record in turn
-- Answers the newer token, or nothing if all was written.
local mine = tonumber(ARGV[1])
local fence = redis.call('GET', KEYS[2])
if fence and tonumber(fence) > mine then return fence end
for i = 2, #ARGV, 2 do
    local raw = redis.call('HGET', KEYS[1], ARGV[i])
    local readable, record = pcall(cjson.decode, raw or '{}')
    if readable and type(record) == 'table' and (tonumber(record.token) or 0) > mine then
        return string.format('%.0f', record.token)
    end
end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return false
