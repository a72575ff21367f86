-- Signals from a web service to the participants of a call: POST /signal/<call>[/<user>] with {"type", "data"}.
-- For Prosody 0.12; docs/server-signals.md of qbcall says how to use it.
-- Who is in a call is learned from QuickBlox signals that pass. Only somebody in a call can bring others into it.

local st, jid, json = require "util.stanza", require "util.jid", require "util.json";
local urldecode, equals = require "util.http".urldecode, require "util.hashes".equals;
local valid_utf8, new_id = require "util.encodings".utf8.valid, require "util.id".medium;

local MODULE = "WebRTCVideoChat";
local MAX_TYPE, MAX_DATA, MAX_BODY = 128, 8192, 65536; -- bytes; each byte of the data can be \u00XX in the body
local MAX_CALLS, MAX_MEMBERS, MAX_ID, MAX_AGE = 10000, 17, 1024, 12 * 3600; -- bytes of an id, age in seconds
local NOT_IN_XML = "[%z\1-\8\11\12\14-\31]";

local token = module:get_option_string("qbcall_signals_token", "");
local allowed = module:get_option_set("qbcall_signals_allow_ips", { "127.0.0.1", "::1" });
assert(token ~= "", "qbcall_signals_token is not set: a long random text that only your web service knows");

local calls = require "util.cache".new(MAX_CALLS); -- id -> { since = seconds, members = { user -> joined } }

local function find(id)
	local call = calls:get(id);
	return call and os.time() - call.since < MAX_AGE and call or nil;
end

local function count(members)
	local all, joined = 0, 0;
	for _, is_joined in pairs(members) do all, joined = all + 1, joined + (is_joined and 1 or 0); end
	return all, joined;
end

local learn = {};
function learn.call(id, call, from, to)
	if not call then
		calls:set(id, { since = os.time(); members = { [from] = true; [to] = false } });
	elseif call.members[from] and call.members[to] == nil and count(call.members) < MAX_MEMBERS then
		call.members[to] = false;
	end
end

function learn.accept(_, call, from)
	if call.members[from] == false then call.members[from] = true; end
end

function learn.hangUp(id, call, from)
	call.members[from] = nil;
	local all, joined = count(call.members);
	if all < 2 or joined == 0 then calls:set(id, nil); end
end

learn.reject = learn.hangUp;

-- Prosody's own search by name insists on a namespace, and some clients write none.
local function child(parent, name)
	for _, tag in ipairs(parent.tags) do if tag.name == name then return tag; end end
	return st.stanza(name);
end

local function watch(event)
	local attr, params = event.stanza.attr, child(event.stanza, "extraParams");
	if attr.type ~= "headline" or child(params, "moduleIdentifier"):get_text() ~= MODULE then return; end
	local id, kind = child(params, "sessionID"):get_text() or "", child(params, "signalType"):get_text();
	local call, step = find(id), learn[kind or ""];
	if attr.from and step and #id > 0 and #id <= MAX_ID and (call or kind == "call") then
		step(id, call, jid.bare(attr.from), jid.bare(attr.to));
	end
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
	if not call or one and not call.members[one] then return 404, "no such call, or no such user in it\n"; end
	local message = new_id();
	for member, joined in pairs(call.members) do
		if joined and (not one or member == one) then send(member, id, message, kind, data); end
	end
	return 204, "";
end

module:depends("http");
module:provides("http", { name = "signal"; cors = { enabled = false }; route = { ["POST /*"] = function (event)
	local code, body = answer(event.request);
	event.response.status_code, event.response.headers.content_type = code, "text/plain; charset=utf-8";
	return body;
end } });
