-- A ledger's fields count, up to 15 digits. HINCRBY fails on any other, and by then a script has changed something.
-- Answers the refusal, or nothing if these fields can be counted up.
local function refuse_uncountable(key, fields)
  for i, value in ipairs(redis.call('HMGET', key, unpack(fields))) do
    if value and (#value > 15 or not string.match(value, '^%d+$')) then
      return redis.error_reply('BADVALUE ' .. key .. ': the field ' .. fields[i] .. ' counts nothing: delete it')
    end
  end
end
