-- A minimal editor plugin for Neovim, and a person who types at random: for the test beside it.
-- In the environment: CLIENT (JSON: the command), SEED, EDITS, OUT (where to write what the buffer shows).
local buffer = vim.api.nvim_get_current_buf()
local uri = vim.uri_from_bufnr(buffer)
local mine, theirs, number, shown, applying, tracking = 0, 0, 0, nil, false, false
local received, job = "", nil

local function content()
  local text = table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, true), "\n")
  return text .. (vim.bo[buffer].eol and "\n" or "")
end

local function ask(method, params)
  number = number + 1
  local body = vim.fn.json_encode({ jsonrpc = "2.0", id = number, method = method, params = params })
  vim.fn.chansend(job, "Content-Length: " .. #body .. "\r\n\r\n" .. body)
end

local function position(text, offset)
  local before = text:sub(1, offset)
  local _, line = before:gsub("\n", "")
  return { line = line, character = (vim.str_utfindex(before:match("[^\n]*$"))) }
end

local function offset_of(text, at)
  local start = 1
  for _ = 1, at.line do
    start = text:find("\n", start, true) + 1
  end
  local line = text:sub(start):match("^[^\n]*")
  return start - 1 + vim.str_byteindex(line, at.character)
end

local function inside(text, offset)
  local byte = text:byte(offset + 1)
  return byte ~= nil and byte >= 0x80 and byte < 0xC0
end

local function changed()
  local old, new = shown, content()
  shown = new
  if applying or not tracking or old == new then
    return
  end
  local first = 0
  while first < math.min(#old, #new) and old:byte(first + 1) == new:byte(first + 1) do
    first = first + 1
  end
  while inside(old, first) or inside(new, first) do
    first = first - 1
  end
  local last = 0
  while last < math.min(#old, #new) - first and old:byte(#old - last) == new:byte(#new - last) do
    last = last + 1
  end
  while inside(old, #old - last) or inside(new, #new - last) do
    last = last - 1
  end
  mine = mine + 1
  local range = { start = position(old, first), ["end"] = position(old, #old - last) }
  local delta = { { range = range, replacement = new:sub(first + 1, #new - last) } }
  ask("edit", { uri = uri, revision = theirs, delta = delta })
end

local function apply(params)
  if params.revision ~= mine then
    return
  end
  local text = content()
  for _, change in ipairs(params.delta) do
    local first, last = offset_of(text, change.range.start), offset_of(text, change.range["end"])
    text = text:sub(1, first) .. change.replacement .. text:sub(last + 1)
  end
  theirs = theirs + 1
  applying = true
  local lines = vim.split(text, "\n", { plain = true })
  vim.bo[buffer].eol = text:sub(-1) == "\n"
  if vim.bo[buffer].eol then
    table.remove(lines)
  end
  vim.api.nvim_buf_set_lines(buffer, 0, -1, true, lines)
  shown = content()
  applying = false
end

local function hear(_, data)
  received = received .. table.concat(data, "\n")
  while true do
    local length, body = received:match("^Content%-Length: (%d+)\r\n\r\n()")
    if length == nil or #received < body - 1 + tonumber(length) then
      return
    end
    local message = vim.fn.json_decode(received:sub(body, body - 1 + tonumber(length)))
    received = received:sub(body + tonumber(length))
    if message.method == "edit" then
      apply(message.params)
    elseif message.error ~= nil then
      io.stderr:write(message.error.message .. "\n")
    elseif message.id == 1 then
      tracking = true
    end
  end
end

job = vim.fn.jobstart(vim.fn.json_decode(os.getenv("CLIENT")), {
  on_stdout = hear,
  cwd = vim.fn.expand("%:p:h"),
})
vim.bo[buffer].undolevels = -1
shown = content()
ask("open", { uri = uri, content = shown })
vim.api.nvim_buf_attach(buffer, false, { on_lines = changed })

local seed, edits, out = os.getenv("SEED"), tonumber(os.getenv("EDITS")), os.getenv("OUT")
math.randomseed(tonumber(seed))
local typed = 0

local function type_something()
  local count = vim.api.nvim_buf_line_count(buffer)
  local row = math.random(1, count)
  local line = vim.api.nvim_buf_get_lines(buffer, row - 1, row, true)[1]
  local column = vim.str_byteindex(line, math.random(0, (vim.str_utfindex(line))))
  vim.api.nvim_win_set_cursor(0, { row, column })
  local token = ("<%s.%dé🎈>"):format(seed, typed)
  local commands = { "i" .. token, "i" .. token, "A" .. token, "o" .. token, "O" .. token, "x" }
  if count > 5 then
    table.insert(commands, "dd")
  end
  vim.cmd("normal! " .. commands[math.random(#commands)])
  typed = typed + 1
end

local function write(path, text)
  local file = assert(io.open(path .. ".part", "w"))
  file:write(text)
  file:close()
  os.rename(path .. ".part", path)
end

vim.loop.new_timer():start(100, 10, vim.schedule_wrap(function()
  if tracking and typed < edits then
    type_something()
  end
  if typed == edits then
    write(out, content())
  end
  if vim.fn.filereadable(out .. ".stop") == 1 then
    vim.cmd("qa!")
  end
end))
