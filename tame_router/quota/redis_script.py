"""What Redis runs: windows that slide and leases of streams, each call all or nothing.

A window is a hash: `sum`, `edge` (number of the oldest step that counts), and an amount by
number of the step. Streams are a sorted set of leases by the millisecond they end at. The
clock is the server's own, the same for all routers.

The last key of each call is the mark that Redis bears as long as it has not lost its data, and
the last argument the mark that the caller knows. Where they differ the call gives {-1}, and
does nothing.
"""

_COMMON = """
if redis.call('GET', KEYS[#KEYS]) ~= ARGV[#ARGV] then return {-1} end
local clock = redis.call('TIME')
local second, micro = tonumber(clock[1]), tonumber(clock[2])
local milli = second * 1000 + math.floor(micro / 1000)

local function slide(key, steps, edge)
  local known = redis.call('HMGET', key, 'edge', 'sum')
  local old, sum = tonumber(known[1]), tonumber(known[2])
  if not old then return 0 end
  if edge > old + steps or edge < old - steps then
    redis.call('DEL', key)
    return 0
  end
  if edge <= old then return sum end
  for step = old, edge - 1 do
    local amount = redis.call('HGET', key, step)
    if amount then
      sum = sum - amount
      redis.call('HDEL', key, step)
    end
  end
  redis.call('HSET', key, 'edge', edge, 'sum', sum)
  return sum
end

local function add(key, width, steps, step, amount)
  redis.call('HSETNX', key, 'edge', math.floor(second / width) - steps)
  redis.call('HINCRBY', key, step, amount)
  redis.call('HINCRBY', key, 'sum', amount)
  redis.call('EXPIRE', key, (steps + 2) * width)
end
"""

RESERVE = (
    _COMMON
    + """
-- KEYS: streams, windows…, mark; ARGV: most streams (-1: any), lease, its ms, then of each
-- window width in seconds, steps, cap, amount, then the mark. Gives {1, s, us}, or
-- {0, s, us, window, used, wait in s}; window 0: streams.
local most = tonumber(ARGV[1])
if most >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', milli)
  local open = redis.call('ZCARD', KEYS[1])
  if open >= most then return {0, second, micro, 0, open, 1} end
end
for i = 2, #KEYS - 1 do
  local at = i * 4 - 4
  local width, steps = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local cap, amount = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local last = math.floor(second / width)
  local used = slide(KEYS[i], steps, last - steps)
  if used + amount > cap then
    local excess, step = used + amount - cap, last - steps - 1
    while excess > 0 and step < last do
      step = step + 1
      excess = excess - (redis.call('HGET', KEYS[i], step) or 0)
    end
    return {0, second, micro, i - 1, used, (step + steps + 1) * width - second}
  end
end
for i = 2, #KEYS - 1 do
  local at = i * 4 - 4
  local width = tonumber(ARGV[at])
  add(KEYS[i], width, tonumber(ARGV[at + 1]), math.floor(second / width), ARGV[at + 3])
end
if most >= 0 then
  redis.call('ZADD', KEYS[1], milli + ARGV[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return {1, second, micro}
"""
)

ADJUST = (
    _COMMON
    + """
-- KEYS: streams, windows…, mark; ARGV: leases to hold, their ms, leases to end, then the leases,
-- then of each window width in seconds, steps, step, amount, then the mark. Gives {1, s, us}.
local held, ended = tonumber(ARGV[1]), tonumber(ARGV[3])
for i = 4, 3 + held do redis.call('ZADD', KEYS[1], milli + ARGV[2], ARGV[i]) end
if held > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
for i = 4 + held, 3 + held + ended do redis.call('ZREM', KEYS[1], ARGV[i]) end
for i = 2, #KEYS - 1 do
  local at = i * 4 - 4 + held + ended
  local width, steps = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local step, amount = ARGV[at + 2], tonumber(ARGV[at + 3])
  local edge = math.floor(second / width) - steps
  slide(KEYS[i], steps, edge)
  if amount < 0 then  -- what Redis has lost cannot be given back
    amount = math.max(amount, -(tonumber(redis.call('HGET', KEYS[i], step)) or 0))
  end
  if tonumber(step) >= edge and amount ~= 0 then add(KEYS[i], width, steps, step, amount) end
end
return {1, second, micro}
"""
)
