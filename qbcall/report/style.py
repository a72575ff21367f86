"""How a report looks. Colours are told apart by people who do not see all of them (Okabe and Ito), light and dark."""

STYLE = """
:root { color-scheme: light dark; --paper: #f7f7f5; --card: #fff; --ink: #1d2025; --faint: #5f6670; --rule: #dfe1e4;
  --user0: #0063a6; --user1: #c44d00; --user2: #00795a;
  --ok: #cdeedd; --on-ok: #0b4d2c; --wait: #fcebb6; --on-wait: #5b4300; --bad: #f8cfcb; --on-bad: #7c1710;
  --idle: #e4e6ea; --on-idle: #454b54; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --card: #1d2026; --ink: #e8eaed; --faint: #a1a8b3;
  --rule: #343943; --user0: #5cb3f0; --user1: #f59a52; --user2: #35c79b;
  --ok: #174b31; --on-ok: #bdf0d3; --wait: #55430d; --on-wait: #fbe7a9; --bad: #66221c; --on-bad: #ffd5d0;
  --idle: #353a43; --on-idle: #c5cad2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 24px 48px; max-width: 1400px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 12px; }
h3 { font-size: 15px; margin: 0 0 6px; }
h3 span { color: var(--faint); font-weight: normal; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0; }
dt { color: var(--faint); font-size: 13px; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 14px 16px; margin: 0;
  min-width: 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr)); gap: 16px; }
.scroll { overflow-x: auto; }
.scroll svg { min-width: 760px; }
.scroll table { min-width: 980px; }
.scroll .events { min-width: 560px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 12px; font-family: inherit; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line:hover { stroke-width: 4; }
.audio { stroke-dasharray: 5 5; }
.line { stroke: var(--faint); }
.user0 { stroke: var(--user0); } .user1 { stroke: var(--user1); } .user2 { stroke: var(--user2); }
.band.ok rect { fill: var(--ok); } .band.ok text { fill: var(--on-ok); }
.band.wait rect { fill: var(--wait); } .band.wait text { fill: var(--on-wait); }
.band.bad rect { fill: var(--bad); } .band.bad text { fill: var(--on-bad); }
.band.idle rect { fill: var(--idle); } .band.idle text { fill: var(--on-idle); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 6px 0 0; padding: 0;
  font-size: 13px; color: var(--faint); }
.legend li { display: flex; align-items: center; gap: 7px; overflow-wrap: anywhere; }
.swatch { width: 36px; flex: none; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
thead th { color: var(--faint); font-weight: normal; font-size: 13px; }
tbody th { font-weight: 600; }
th span { color: var(--faint); font-weight: normal; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.w { white-space: nowrap; }
td.words { overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 10px; margin-bottom: 8px; }
.pictures figure { margin: 0; }
.pictures img { display: block; border-radius: 6px; background: var(--idle); max-width: 100%; }
figcaption { color: var(--faint); font-size: 12px; font-variant-numeric: tabular-nums; }
summary { cursor: pointer; padding: 4px 0; }
p.note { color: var(--faint); font-size: 13px; margin: 8px 0 0; }
footer { margin-top: 40px; color: var(--faint); font-size: 13px; overflow-wrap: anywhere; }
"""
