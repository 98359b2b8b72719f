-- The window of ended identities of one stream: per epoch the highest sequence and a ring of bits for the
-- last SPAN, as IPsec's anti-replay window (RFC 6479). Everything below a window has ended.
-- Field: epoch, 20 digits. Value: highest (10 digits), candidate of a jump (10 digits), SPAN bits.
-- Field: CREDIT. Value: the server's time, ms, up to which losses were counted (see count_lost).
local SPAN, KEPT, JUMP, CONFIRM = 1024, 4, 1048576, 64
local NONE = 9999999999
-- 240 frames/s is the most that `narrows edge --fps` takes; a minute is what a stream of which nothing is known gets.
local CREDIT, MOST_PER_S, FIRST_S = 'loss_credit_ms', 240, 60

local function fresh_window()
  local bits = {}
  for i = 1, SPAN / 8 do bits[i] = 0 end
  return {high = -1, candidate = NONE, bits = bits}
end

-- A window as it is kept, and its two numbers; nothing where there is none.
local function kept_window(key, epoch)
  local packed = redis.call('HGET', key, epoch)
  if not packed then return nil end
  local high, candidate = string.match(packed, '^(%d%d%d%d%d%d%d%d%d%d)(%d%d%d%d%d%d%d%d%d%d)')
  if not high or #packed ~= 20 + SPAN / 8 then
    error(redis.error_reply('BADVALUE ' .. key .. ': the field ' .. epoch .. ' is no window: delete it'))
  end
  high = tonumber(high)
  if high == NONE then high = -1 end
  return packed, high, tonumber(candidate)
end

local function unpacked(packed, high, candidate)
  return packed and {high = high, candidate = candidate, bits = {string.byte(packed, 21, 20 + SPAN / 8)}}
end

local function load_window(key, epoch)
  return unpacked(kept_window(key, epoch))
end

local function save_window(key, epoch, window)
  local high = window.high
  if high < 0 then high = NONE end
  redis.call('HSET', key, epoch,
    string.format('%010.0f%010.0f', high, window.candidate) .. string.char(unpack(window.bits)))
end

local function place_of(sequence)
  local ring = sequence % SPAN
  return math.floor(ring / 8) + 1, bit.lshift(1, ring % 8)
end

local function ended(window, sequence)
  local byte, mask = place_of(sequence)
  return bit.band(window.bits[byte], mask) ~= 0
end

local function mark(window, sequence)
  local byte, mask = place_of(sequence)
  window.bits[byte] = bit.bor(window.bits[byte], mask)
end

local function count_open(window)
  local open = 0
  for sequence = math.max(0, window.high - SPAN + 1), window.high do
    if not ended(window, sequence) then open = open + 1 end
  end
  return open
end

-- Move the window's upper edge to `sequence`; answers how many open identities fell out below: lost.
local function advance(window, sequence)
  local lost = 0
  if sequence - window.high >= SPAN then
    lost = count_open(window) + math.max(0, sequence - SPAN - window.high)
    for i = 1, SPAN / 8 do window.bits[i] = 0 end
  else
    for entering = window.high + 1, sequence do
      if entering >= SPAN and not ended(window, entering - SPAN) then lost = lost + 1 end
      local byte, mask = place_of(entering)
      window.bits[byte] = bit.band(window.bits[byte], bit.bnot(mask))
    end
  end
  window.high = sequence
  return lost
end

local function resynchronise(window, sequence)
  for i = 1, SPAN / 8 do window.bits[i] = 255 end
  window.high = sequence
  window.candidate = NONE
end

-- Mark the identity behind the highest, as most are: one byte of its window changes. Answers how many were lost by it.
local function place_next(key, epoch, packed, sequence)
  local byte, mask = place_of(sequence)
  local before = string.byte(packed, 20 + byte)
  redis.call('HSET', key, epoch, string.format('%010.0f', sequence) .. string.sub(packed, 11, 19 + byte) ..
    string.char(bit.bor(before, mask)) .. string.sub(packed, 21 + byte))
  return (sequence >= SPAN and bit.band(before, mask) == 0) and 1 or 0
end

-- Mark one identity as ended. Answers a verdict and how many identities were lost by it:
-- placed, duplicate, stale (an epoch older than those kept), jump (too far ahead; a second sequence shortly
-- after the first that jumped is believed, as RFC 3550 A.1 believes two consecutive RTP packets).
local function place(key, epoch, sequence)
  local lost, evicted = 0, nil
  local packed, high, candidate = kept_window(key, epoch)
  if packed and high >= 0 and sequence == high + 1 then return 'placed', place_next(key, epoch, packed, sequence) end
  local window = unpacked(packed, high, candidate)
  if not window then
    local kept = {}
    for _, each in ipairs(redis.call('HKEYS', key)) do
      if #each == 20 and not string.match(each, '%D') then kept[#kept + 1] = each end
    end
    table.sort(kept)
    if #kept >= KEPT then
      if epoch < kept[1] then return 'stale', 0 end
      evicted = kept[1]
    end
    window = fresh_window()
  end
  local jumped = sequence - window.high > JUMP
  local believed = jumped and sequence > window.candidate and sequence - window.candidate <= CONFIRM
  if evicted then
    lost = count_open(load_window(key, evicted))
    redis.call('HDEL', key, evicted)
  end
  if believed then
    resynchronise(window, sequence)
  elseif jumped then
    window.candidate = sequence
    save_window(key, epoch, window)
    return 'jump', lost
  elseif sequence > window.high then
    lost = lost + advance(window, sequence)
  elseif sequence <= window.high - SPAN or ended(window, sequence) then
    return 'duplicate', 0
  end
  mark(window, sequence)
  save_window(key, epoch, window)
  return 'placed', lost
end

-- Count frames that never came. A sequence is the camera's own claim, so of the gaps in it only as many are called lost as
-- a camera can have filmed: a token bucket (GCRA) of MOST_PER_S, of JUMP at most. The others are `implausible`.
-- Answers how many were lost.
local function count_lost(seen, ledger, gaps)
  if gaps == 0 then return 0 end
  local time = redis.call('TIME')
  local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local since = redis.call('HGET', seen, CREDIT)
  local since_ms = now_ms - FIRST_S * 1000
  if since and #since <= 15 and string.match(since, '^%d+$') then
    since_ms = math.min(now_ms, math.max(tonumber(since), now_ms - JUMP * 1000 / MOST_PER_S)) -- the clock may be set back
  end
  local lost = math.min(gaps, math.floor((now_ms - since_ms) * MOST_PER_S / 1000))
  redis.call('HSET', seen, CREDIT, string.format('%.0f', math.ceil(since_ms + lost * 1000 / MOST_PER_S)))
  if lost > 0 then redis.call('HINCRBY', ledger, 'lost', lost) end
  if lost < gaps then redis.call('HINCRBY', ledger, 'implausible', gaps - lost) end
  return lost
end
