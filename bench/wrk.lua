-- Sends the requests of a file in turn, and prints the results as one line of JSON.
-- Arguments: the file (for each request a line with its length, then its bytes), and milliseconds between requests.

local requests, turn, pause = {}, 0, 0

function init(args)
  pause = tonumber(args[2])
  local file = assert(io.open(args[1], "rb"))
  for length in file:lines() do
    requests[#requests + 1] = file:read(tonumber(length))
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function delay()
  return pause
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "failures": %d, "seconds": %f, "median": %f, "p99": %f, "mean": %f}\n',
    summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.mean / 1e3
  ))
end
