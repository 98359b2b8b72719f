-- Say how many servers hosts shall have, unless a newer leader was given its token, or spoke before.
-- KEYS: wanted, fence    ARGV: token, then a host and its record in turn
-- Answers the newer token, or nothing if all was written.
-- What is no token of at most 15 digits was never given out, and is newer than nothing.
local function token_of(text)
    return string.match(text, '^%d+$') and #text <= 15 and tonumber(text) or 0
end
local mine = tonumber(ARGV[1])
local fence = redis.call('GET', KEYS[2])
if fence and token_of(fence) > mine then return fence end
for i = 2, #ARGV, 2 do
    local raw = redis.call('HGET', KEYS[1], ARGV[i])
    local readable, record = pcall(cjson.decode, raw or '{}')
    local token = readable and type(record) == 'table' and type(record.token) == 'number' and record.token or 0
    if token > mine and token < 1e15 then return string.format('%.0f', token) end
end
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return false
