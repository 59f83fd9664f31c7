// The page: what the feed tells becomes entries, what the user does becomes requests. The server's word is what counts:
// a message appears when the feed says so.

import { AskView, summary } from "./asks.js";
import { follow } from "./feed.js";
import { element } from "./markdown.js";
import { EntryView, isOpen } from "./view.js";

const $ = (id) => document.getElementById(id);
const LINK = {
  connected: "Connected",
  connecting: "Connecting",
  reconnecting: "Reconnecting",
  disconnected: "Not connected",
  paused: "Not let in",
  offline: "Offline",
};
const NEAR = 80; // pixels from the end within which a reader counts as reading the end
const QUIET = 700; // milliseconds that a reconnect may take before the page speaks of it: most are over by then

const views = new Map();
const asks = new Map();
const dirty = new Set();
const title = document.title;
const box = $("scroll");
let atEnd = true;
let gateway = { state: "connecting", problem: "" };
let up = false;
let unread = 0;
let frame = 0;
let bannerTimer = 0;
let behind = Infinity; // milliseconds by which the server's clock is behind this one, and what the shortest way took

// The feed.

const handlers = {
  snapshot({ user, connection, loaded, entries, asks: asked, now }) {
    const focused = document.activeElement;
    behind = Math.min(behind, Date.now() - now);
    $("user").textContent = user;
    $("badge").textContent = user[0];
    $("hello").textContent = `Hello, ${user[0].toUpperCase()}${user.slice(1)}`;
    const wanted = new Set(entries.map((entry) => entry.id));
    for (const [id, view] of views) {
      if (!wanted.has(id)) {
        view.node.remove();
        views.delete(id);
      }
    }
    for (const entry of entries) put(entry);
    $("log").append(...entries.map((entry) => views.get(entry.id).node)); // in this order
    for (const id of [...asks.keys()]) {
      if (!asked.some((ask) => ask.id === id)) withdraw(id);
    }
    for (const ask of asked) {
      if (ask.state === "pending" && !asks.get(ask.id)?.pending) arrivedAsk(ask);
      else putAsk(ask);
      place(asks.get(ask.id));
    }
    // Whoever types into a card goes on there, though everything was put in order anew.
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    $("start").hidden = !loaded || entries.length + asked.length > 0;
    document.body.dataset.loaded = loaded;
    showLink(connection);
    changed();
  },
  entry(entry) {
    const before = views.get(entry.id)?.entry;
    put(entry);
    if (!before) arrived(entry);
    else if (isOpen(before) && !isOpen(entry)) ended(entry);
    changed();
  },
  text: ({ id, text }) => grow(id, (entry) => (entry.text += text)),
  thinking: ({ id, text }) => grow(id, (entry) => (entry.thinking += text)),
  status: ({ id, status }) => grow(id, (entry) => (entry.status = status)),
  tool({ id, tool }) {
    grow(id, (entry) => {
      const place = entry.tools.findIndex((known) => known.id === tool.id);
      if (place < 0) entry.tools.push(tool);
      else entry.tools[place] = tool;
    });
  },
  ask(ask) {
    const before = asks.get(ask.id)?.ask.state;
    if (ask.state === "pending" && before !== "pending") {
      arrivedAsk(ask);
      if (document.hidden) count(unread + 1);
    } else {
      putAsk(ask);
    }
    if (before === "pending" && ask.outcome) announce(ask.outcome);
    changed();
  },
  unasked: ({ id }) => withdraw(id),
  connection: showLink,
};

const feed = follow({
  onEvent: (name, data) => handlers[name](data),
  onUp() {
    up = true;
    showBanner();
  },
  onDown() {
    up = false;
    showBanner();
  },
  onSignedOut: () => location.assign("/"),
});

function put(entry) {
  const view = views.get(entry.id);
  if (view) {
    view.update(entry);
  } else {
    const made = new EntryView(entry, { again });
    views.set(entry.id, made);
    $("log").append(made.node);
  }
}

// What the agent asks.

function putAsk(ask) {
  let view = asks.get(ask.id);
  if (view && (view.pending || ask.state !== "pending")) {
    view.update(ask);
  } else {
    view?.node.remove();
    view = new AskView(ask, { answer });
    asks.set(ask.id, view);
    place(view);
  }
  view.tick(Date.now() - behind);
}

function arrivedAsk(ask) {
  putAsk(ask);
  $("start").hidden = true;
  announce(summary(ask));
}

function place(view) {
  // Behind the reply that waits for it, and what that has asked before; else at the end.
  const { run_id: run } = view.ask;
  const reply = run ? [...views.values()].find(({ entry }) => entry.role === "assistant" && entry.run_id === run) : null;
  let last = reply?.node ?? $("log").lastElementChild;
  while (reply && last.nextElementSibling?.classList.contains("ask") && last.nextElementSibling !== view.node) {
    last = last.nextElementSibling;
  }
  if (last === null) $("log").append(view.node);
  else if (last !== view.node && last.nextElementSibling !== view.node) last.after(view.node);
}

function withdraw(id) {
  asks.get(id)?.node.remove();
  asks.delete(id);
}

async function answer(id, given) {
  let told;
  try {
    told = await request(`/api/answers/${encodeURIComponent(id)}`, given);
  } catch {
    return "This site cannot be reached. Answer again: only one answer counts.";
  }
  const body = await told.json().catch(() => ({}));
  if (!told.ok) return body.detail ?? "That did not work.";
  if (asks.has(id)) handlers.ask(body.ask);
  return "";
}

setInterval(() => {
  for (const view of asks.values()) view.tick(Date.now() - behind);
}, 1000);

function grow(id, mutate) {
  const view = views.get(id);
  if (!view) return;
  mutate(view.entry);
  dirty.add(view);
  // A timer as well, because nobody draws a page that is not looked at.
  frame ||= document.hidden ? setTimeout(draw, 200) : requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  for (const view of dirty) view.update(view.entry);
  dirty.clear();
  changed();
}

function arrived(entry) {
  $("start").hidden = true;
  if (entry.source) announce(`New message: ${entry.text || entry.note}`);
  if (entry.source && document.hidden) count(unread + 1);
}

function ended(entry) {
  if (entry.role === "assistant") announce(entry.text || entry.note || entry.problem || "Stopped.");
  if (document.hidden) count(unread + 1);
}

function changed() {
  $("stop").hidden = !openReplies().length;
  stay();
}

// The connection.

function showLink(connection) {
  gateway = connection;
  showBanner();
}

function showBanner() {
  const state = up ? gateway.state : "offline";
  const words = up ? gateway.problem : "The connection to this site is lost. Trying again …";
  $("link").dataset.state = state;
  $("link-text").textContent = LINK[state] ?? state;
  const calm = state === "connected" || state === "connecting";
  clearTimeout(bannerTimer);
  const show = () => {
    $("banner").hidden = calm;
    $("banner").dataset.state = state;
    $("banner-text").textContent = calm ? "" : words;
    $("retry").hidden = state === "reconnecting";
  };
  if (calm || !$("banner").hidden) show();
  else bannerTimer = setTimeout(show, QUIET);
}

$("retry").addEventListener("click", () => {
  if (up) post("/api/reconnect");
  else feed.open();
});

// Sending and stopping.

const text = $("text");
let unanswered = {};

function newKey() {
  // randomUUID is there only on https and on this machine.
  return crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
}

async function send(words) {
  notice("");
  // Nobody knows whether a request without an answer arrived: the same words again are the same message.
  if (unanswered.words !== words) unanswered = { words, key: newKey() };
  const answer = await post("/api/messages", { text: words, key: unanswered.key });
  if (answer) unanswered = {};
  return answer?.ok ?? false;
}

async function submit() {
  const words = text.value;
  if (!words.trim()) return;
  text.value = "";
  fit();
  atEnd = true;
  stay();
  // What could not be sent is given back, unless something new was begun.
  if (!(await send(words)) && !text.value) {
    text.value = words;
    fit();
  }
}

function again(id) {
  post(`/api/messages/${encodeURIComponent(id)}/again`);
}

async function stop() {
  // The latest first: what waits for its turn must not begin when the one before it ends.
  for (const view of openReplies().reverse()) {
    await post(`/api/messages/${encodeURIComponent(view.entry.id)}/abort`);
  }
}

async function request(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.status === 401) location.assign("/");
  return answer;
}

async function post(path, body = {}) {
  try {
    const answer = await request(path, body);
    if (!answer.ok) notice((await answer.json().catch(() => ({}))).detail ?? "That did not work.");
    return answer;
  } catch {
    notice("This site cannot be reached. Send it again: nothing is sent twice.");
    return null;
  }
}

function openReplies() {
  return [...views.values()].filter((view) => isOpen(view.entry));
}

function fit() {
  $("send").disabled = !text.value.trim();
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
$("stop").addEventListener("click", stop);
text.addEventListener("input", fit);
text.addEventListener("keydown", (event) => {
  // On a phone the key begins a line, and the button sends.
  if (event.key !== "Enter" || event.shiftKey || matchMedia("(pointer: coarse)").matches) return;
  // The Enter that ends a composition (Japanese, Chinese, Korean). Safari tells it after the end, by the key code alone.
  if (event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  submit();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && openReplies().length) stop();
});

for (const hint of JSON.parse(document.body.dataset.hints)) {
  const item = element("li");
  const button = element("button", "", hint);
  button.type = "button";
  button.addEventListener("click", () => {
    send(hint);
    text.focus();
  });
  item.append(button);
  $("hints").append(item);
}

// Reading.

function stay() {
  // Whoever reads the end stays there while it grows; whoever has scrolled up is left in peace.
  if (atEnd) box.scrollTop = box.scrollHeight;
  $("down").hidden = atEnd;
}

box.addEventListener(
  "scroll",
  () => {
    atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    $("down").hidden = atEnd;
  },
  { passive: true },
);
new ResizeObserver(stay).observe(box); // the banner, the keyboard of a phone, a longer message
$("down").addEventListener("click", () => box.scrollTo({ top: box.scrollHeight, behavior: "smooth" }));
document.addEventListener("visibilitychange", () => document.hidden || count(0));

function count(number) {
  unread = number;
  document.title = unread ? `(${unread}) ${title}` : title;
}

function announce(words) {
  // A screen reader hears whole messages, not every piece of a text that grows.
  $("announcer").textContent = words;
}

function notice(words) {
  $("notice").textContent = words;
}

fit();
if (!matchMedia("(pointer: coarse)").matches) text.focus();
