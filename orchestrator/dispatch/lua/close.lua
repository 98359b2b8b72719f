-- Close gaps in a stream's sequence: those identities were lost in transit.
-- KEYS: fence, seen, ledger
-- ARGV: 1 token, 2 epoch, 3... sequences
-- Answers how many of them were lost; -1 if fenced.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
local uncountable = refuse_uncountable(KEYS[3], {'lost', 'implausible'})
if uncountable then return uncountable end
local window = load_window(KEYS[2], ARGV[2])
if not window then return 0 end
local closed = 0
for i = 3, #ARGV do
  local sequence = tonumber(ARGV[i])
  if sequence <= window.high and sequence > window.high - SPAN and not ended(window, sequence) then
    mark(window, sequence)
    closed = closed + 1
  end
end
if closed > 0 then
  save_window(KEYS[2], ARGV[2], window)
  closed = count_lost(KEYS[2], KEYS[3], closed)
end
return closed
