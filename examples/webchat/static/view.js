// Entries as elements. An entry keeps its element while it changes; of a growing text only the last blocks are made anew.

import { element, render, split } from "./markdown.js";

const SOURCES = {
  injected: "Added to the conversation",
  subagent: "From a sub-agent",
  heartbeat: "On its own initiative",
  cron: "From a scheduled task",
  run: "On its own initiative",
};
const MARKS = { running: "", done: "✓", failed: "✕" };
const TOOL_STATES = { running: "running", done: "done", failed: "failed" };

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

export class EntryView {
  constructor(entry, actions) {
    this.actions = actions;
    this.blocks = [];
    this.tools = new Map();
    this.node = element("li", `entry ${entry.role}`);
    this.node.dataset.id = entry.id;
    this.who = element("span", "hidden", entry.role === "user" ? "You: " : "Assistant: ");
    this.source = element("p", "source");
    this.thinking = thinking();
    this.toolList = element("ul", "tools");
    this.toolList.setAttribute("aria-label", "Tools");
    this.text = element("div", "text");
    this.files = element("ul", "files");
    this.files.setAttribute("aria-label", "Files");
    this.note = element("p", "note");
    this.status = element("p", "status");
    this.status.append(element("span", "dots"), element("span", "label"));
    this.problem = element("p", "problem");
    this.time = element("time", "time");
    const body = element("div", "body");
    body.append(this.who, this.source, this.thinking.node, this.toolList, this.text, this.files, this.note, this.status, this.problem);
    this.node.append(body, this.time);
    this.update(entry);
  }

  update(entry) {
    this.entry = entry;
    this.node.dataset.state = entry.state;
    const busy = isOpen(entry);
    this.node.setAttribute("aria-busy", String(busy));
    this.node.dataset.source = entry.source;
    set(this.source, SOURCES[entry.source] ?? "");
    for (const tool of entry.tools) this.setTool(tool);
    for (const [id, view] of this.tools) {
      if (!entry.tools.some((tool) => tool.id === id)) {
        view.node.remove();
        this.tools.delete(id);
      }
    }
    this.toolList.hidden = !entry.tools.length;
    this.thinking.set(entry.thinking, busy);
    this.showText();
    this.files.replaceChildren(...entry.files.map(fileView));
    this.files.hidden = !entry.files.length;
    set(this.note, entry.note);
    this.showStatus();
    this.showProblem();
    if (entry.at) {
      const at = new Date(entry.at);
      this.time.dateTime = at.toISOString();
      set(this.time, clock.format(at));
    }
  }

  setTool(tool) {
    let view = this.tools.get(tool.id);
    if (!view) {
      view = toolView();
      this.tools.set(tool.id, view);
      this.toolList.append(view.node);
      this.toolList.hidden = false;
    }
    view.set(tool);
  }

  showText() {
    if (this.entry.role === "user") {
      set(this.text, this.entry.text);
      return;
    }
    const sources = split(this.entry.text);
    let same = 0;
    while (same < sources.length && sources[same] === this.blocks[same]) same += 1;
    while (this.text.childNodes.length > same) this.text.lastChild.remove();
    this.text.append(...sources.slice(same).map((source) => render(source)));
    this.blocks = sources;
    this.text.hidden = !sources.length;
  }

  showStatus() {
    const { state, status, text, tools } = this.entry;
    const calling = tools.some((tool) => tool.state === "running");
    let label = status;
    if (state === "waiting") label = status || "waiting for its turn";
    else if (!status && !text && !calling) label = "thinking";
    // A text that grows and a tool that runs show by themselves that something is going on.
    const visible = (text || calling) && !/waiting|retry/.test(status);
    this.status.hidden = !isOpen(this.entry) || visible;
    set(this.status.lastChild, label);
  }

  showProblem() {
    const { state, problem, retry, id } = this.entry;
    const words = problem || (state === "aborted" ? "Stopped." : "");
    // A button that is made anew loses the focus.
    if (this.problem.dataset.words === words && this.problem.dataset.retry === String(retry)) return;
    Object.assign(this.problem.dataset, { words, retry });
    this.problem.replaceChildren();
    this.problem.hidden = !words;
    if (words) this.problem.append(element("span", "", words));
    if (retry) {
      const button = element("button", "quiet", "Send again");
      button.type = "button";
      button.addEventListener("click", () => this.actions.again(id));
      this.problem.append(" ", button);
    }
  }
}

export function isOpen(entry) {
  return entry.state === "waiting" || entry.state === "running";
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
  if (!node.classList.contains("label")) node.hidden = !text;
}

function fileView({ id, name, size }) {
  const node = element("li");
  const link = element("a", "", name);
  link.href = `/api/files/${encodeURIComponent(id)}`;
  link.download = name;
  node.append(link);
  if (size !== null) node.append(" ", element("span", "size", `${size} B`));
  return node;
}

function thinking() {
  const node = element("details", "thinking");
  const title = element("summary");
  const text = element("p");
  node.append(title, text);
  const show = (words, busy) => {
    node.hidden = !words;
    set(title, busy ? "Thinking" : "Thoughts");
    set(text, words);
  };
  return { node, set: show };
}

function toolView() {
  const node = element("li", "tool");
  const details = element("details");
  const summary = element("summary");
  const mark = element("span", "mark");
  mark.setAttribute("aria-hidden", "true");
  const name = element("span", "name");
  const gist = element("span", "gist");
  const state = element("span", "hidden");
  const args = element("pre");
  const result = element("pre");
  summary.append(mark, name, gist, state);
  details.append(summary, args, result);
  node.append(details);
  const show = (tool) => {
    node.dataset.state = tool.state;
    mark.textContent = MARKS[tool.state];
    set(name, tool.name);
    set(gist, oneLine(tool.args));
    set(state, `, ${TOOL_STATES[tool.state]}`);
    set(args, tool.args);
    set(result, tool.result);
  };
  return { node, set: show };
}

function oneLine(args) {
  try {
    const values = Object.values(JSON.parse(args)).filter((value) => typeof value !== "object");
    return values.join(", ").slice(0, 80);
  } catch {
    return args.slice(0, 80);
  }
}
