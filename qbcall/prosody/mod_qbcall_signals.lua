-- Signals from a web service to the participants of a call: POST /signal/<call>[/<user>] with {"type", "data"}.
-- For Prosody 0.12; docs/server-signals.md of qbcall says how to use it.
-- Who is in a call is learned from QuickBlox signals that pass. Only somebody in a call can bring others into it.

local st, jid, json = require "util.stanza", require "util.jid", require "util.json";
local urldecode, equals = require "util.http".urldecode, require "util.hashes".equals;
local valid_utf8, new_id, cache = require "util.encodings".utf8.valid, require "util.id".medium, require "util.cache";

local MODULE = "WebRTCVideoChat";
local MAX_TYPE, MAX_DATA, MAX_BODY = 128, 8192, 65536; -- bytes; each byte of the data can be \u00XX in the body
local MAX_CALLERS, MAX_CALLS, MAX_MEMBERS, MAX_ID = 10000, 32, 17, 1024; -- calls of each caller, bytes of an id
local MAX_AGE = 12 * 3600; -- seconds since the last signal of a participant or a web service
local NOT_IN_XML = "[%z\1-\8\11\12\14-\31]";

local token = module:get_option_string("qbcall_signals_token", "");
local allowed = module:get_option_set("qbcall_signals_allow_ips", { "127.0.0.1", "::1" });
assert(token ~= "", "qbcall_signals_token is not set: a long random text that only your web service knows");

local calls = {}; -- id -> { by = caller, since = seconds, members = { user -> device that joined, or false } }
local function drop(id) calls[id] = nil; end
-- Whoever starts calls without end loses his own ones only.
local callers = cache.new(MAX_CALLERS, function (_, own) for id in own:items() do drop(id); end end);

local function find(id)
	local call = calls[id];
	return call and os.time() - call.since < MAX_AGE and call or nil;
end

local function forget(id)
	local own = calls[id] and callers:get(calls[id].by);
	if own then own:set(id, nil); end
	drop(id);
end

local function start(id, device, callee)
	forget(id);
	local caller = jid.bare(device);
	local own = callers:get(caller) or cache.new(MAX_CALLS, drop);
	callers:set(caller, own);
	own:set(id, true);
	calls[id] = { by = caller, since = os.time(), members = { [caller] = device, [callee] = false } };
end

local function count(members)
	local all, joined = 0, 0;
	for _, device in pairs(members) do all, joined = all + 1, joined + (device and 1 or 0); end
	return all, joined;
end

local learn = {};
function learn.call(id, call, device, to)
	if not call then
		start(id, device, to);
	elseif call.members[jid.bare(device)] and call.members[to] == nil and count(call.members) < MAX_MEMBERS then
		call.members[to] = false;
	end
end

function learn.accept(_, call, device, to)
	local user = jid.bare(device);
	if call.members[user] == false and call.members[to] ~= nil then call.members[user] = device; end
end

function learn.hangUp(id, call, device)
	call.members[jid.bare(device)] = nil;
	local all, joined = count(call.members);
	if all < 2 or joined == 0 then forget(id); end
end

function learn.reject(id, call, device)
	local joined = call.members[jid.bare(device)];
	-- Another device of a user who accepted may still ring, and say no.
	if not joined or joined == device then learn.hangUp(id, call, device); end
end

-- Prosody's own search by name insists on a namespace, and some clients write none.
local function child(parent, name)
	for _, tag in ipairs(parent.tags) do if tag.name == name then return tag; end end
	return st.stanza(name);
end

local function watch(event)
	local attr, params = event.stanza.attr, child(event.stanza, "extraParams");
	if attr.type ~= "headline" or child(params, "moduleIdentifier"):get_text() ~= MODULE then return; end
	local from, to = attr.from, jid.bare(attr.to);
	local id, kind = child(params, "sessionID"):get_text() or "", child(params, "signalType"):get_text();
	local call, step = find(id), learn[kind or ""];
	if not from or not to or #id == 0 or #id > MAX_ID then return; end
	if call and call.members[jid.bare(from)] then call.since = os.time(); end
	if step and (call or kind == "call") then step(id, call, from, to); end
end

-- Late, so that what was blocked is not seen; but before the message is delivered.
module:hook("pre-message/bare", watch, -0.5);
module:hook("message/bare", watch, -0.5);

local function judge(body)
	if #body > MAX_BODY then return 413, "body: at most 65536 bytes"; end
	local ok, said = pcall(json.decode, body);
	if not ok or type(said) ~= "table" or getmetatable(said) then return 400, "body: must be a JSON object"; end
	for name, value in pairs(said) do
		if name ~= "type" and name ~= "data" then return 400, "body: only type and data are known"; end
		if type(value) ~= "string" then return 400, name .. ": must be a string"; end
	end
	local kind, data = said.type or "", said.data or "";
	if not valid_utf8(data) or data:find(NOT_IN_XML) or data:find("\239\191[\190\191]") then
		return 400, "data: has a character that XML cannot carry";
	end
	if #data > MAX_DATA then return 413, "data: at most 8192 bytes in UTF-8"; end
	if #kind > MAX_TYPE then return 413, "type: at most 128 characters"; end
	if kind:find("[^A-Za-z0-9_~-]") then return 400, "type: only A-Z, a-z, 0-9, '-', '_' and '~'"; end
	return 204, "", kind, data;
end

-- Headlines are lost without a word where nobody is online. Users of other servers are theirs to know.
local function connected(user)
	if jid.host(user) ~= module.host then return true; end
	local sessions = (prosody.bare_sessions[user] or {}).sessions;
	for _, session in pairs(sessions or {}) do
		if session.presence and session.priority >= 0 then return true; end
	end
	return false;
end

local function send(to, call, id, kind, data)
	local encoded = data:find("\r", 1, true) and json.encode(data); -- XML makes a line feed of it
	local stanza = st.message({ from = module.host; to = to; type = "headline"; id = id }):tag("extraParams")
		:text_tag("moduleIdentifier", MODULE):text_tag("signalType", "update"):text_tag("sessionID", call)
		:tag("userInfo"):text_tag("sigType", kind):text_tag("sigData", encoded or data):text_tag("sigId", id);
	module:send((encoded and stanza:text_tag("sigEncoding", "json") or stanza):reset());
end

local function answer(request)
	local given = (request.headers.authorization or ""):match("^[Bb]earer (.+)$");
	if not given or not equals(given, token) or not allowed:contains(request.ip) then return 403, "not allowed\n"; end
	local code, why, kind, data = judge(request.body or "");
	if code ~= 204 then return code, why .. "\n"; end
	-- Not the path that Prosody gives to a route: there a slash in an id cannot be told from one between ids.
	local id, slash, user = request.url.path:match("^/[^/]+/([^/]+)(/?)([^/]*)$");
	id = urldecode(id);
	local call, one = id and find(id), slash == "/" and (jid.prep(urldecode(user)) or "");
	local message, sent = new_id(), 0;
	for member, device in pairs(call and call.members or {}) do
		if device and (not one or member == one) and connected(member) then
			send(member, id, message, kind, data);
			sent = sent + 1;
		end
	end
	if sent == 0 then return 404, "no such call, or no such user in it, or not connected\n"; end
	call.since = os.time();
	return 204, "";
end

module:depends("http");
module:provides("http", { name = "signal"; cors = { enabled = false }; route = { ["POST /*"] = function (event)
	local code, body = answer(event.request);
	event.response.status_code, event.response.headers.content_type = code, "text/plain; charset=utf-8";
	return body;
end } });
