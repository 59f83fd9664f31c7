// What the agent asks of its user, as cards. Everything in them is text; a card keeps its elements while it waits, so
// that nobody loses the focus or what was typed.

import { element } from "./markdown.js";

const OWN = "Another answer";
let cards = 0;

export class AskView {
  constructor(ask, actions) {
    this.actions = actions;
    this.id = `ask-${(cards += 1)}`;
    this.node = element("li", `ask ${ask.kind}`);
    this.node.dataset.id = ask.id;
    this.body = element("section", "card");
    this.body.tabIndex = -1; // where the focus goes when the button that had it is gone
    const title = element("h2", "", titleOf(ask));
    title.id = `${this.id}-title`;
    this.body.setAttribute("aria-labelledby", title.id);
    this.left = element("p", "left");
    this.left.setAttribute("role", "timer"); // not read out every second
    this.problem = element("p", "problem");
    this.problem.setAttribute("role", "alert");
    this.outcome = element("p", "outcome");
    this.inner = ask.kind === "approval" ? approval(ask, this) : question(ask, this);
    this.body.append(title, ...this.inner.nodes, this.problem, this.left, this.outcome);
    this.node.append(this.body);
    this.update(ask);
  }

  get pending() {
    return this.ask.state === "pending";
  }

  update(ask) {
    this.ask = ask;
    this.node.dataset.state = ask.state;
    this.outcome.textContent = ask.outcome;
    this.outcome.hidden = !ask.outcome;
    if (!this.pending) this.end();
  }

  /** It is over: nothing is left to press, and nothing of what was typed. */
  end() {
    const focused = this.inner.controls.contains(document.activeElement);
    this.inner.controls.remove();
    this.problem.textContent = "";
    this.left.hidden = true;
    if (focused) this.body.focus({ preventScroll: true });
  }

  /** now: milliseconds by the server's clock. */
  tick(now) {
    const { expires } = this.ask;
    this.left.hidden = !this.pending || expires === null;
    const words = this.left.hidden ? "" : timeLeft(expires - now);
    if (this.left.textContent !== words) this.left.textContent = words;
  }

  async give(answer) {
    const buttons = [...this.inner.controls.querySelectorAll("button")];
    if (buttons.some((button) => button.getAttribute("aria-disabled") === "true")) return;
    // Not `disabled`, which would throw the focus away.
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    this.problem.textContent = "";
    const problem = await this.actions.answer(this.ask.id, answer);
    if (this.pending) this.problem.textContent = problem;
    for (const button of buttons) button.removeAttribute("aria-disabled");
  }
}

/** What a screen reader is told when one comes. */
export function summary(ask) {
  if (ask.kind === "approval") return `${titleOf(ask)}: ${ask.command || ask.title}`;
  return `${titleOf(ask)}: ${ask.items.map((item) => item.text).join(" ")}`;
}

function titleOf(ask) {
  if (ask.kind === "question") return "The assistant asks you";
  return ask.command ? "The assistant wants to run a command" : "The assistant asks for your approval";
}

function approval(ask, view) {
  const nodes = [];
  if (ask.title) nodes.push(element("p", "about", ask.title));
  if (ask.command) {
    const command = element("pre", "command");
    command.append(element("code", "", ask.command));
    command.id = `${view.id}-command`;
    command.tabIndex = 0; // a long one is scrolled with the keyboard
    command.setAttribute("aria-label", "Command");
    command.setAttribute("role", "group");
    nodes.push(command);
  }
  const facts = element("dl", "facts");
  for (const [name, value] of [["Folder", ask.cwd], ["Runs on", ask.host]]) {
    if (value) facts.append(element("dt", "", name), element("dd", "", value));
  }
  if (facts.childNodes.length) nodes.push(facts);
  if (ask.warnings.length) {
    const warnings = element("ul", "warnings");
    warnings.setAttribute("aria-label", "Warnings");
    warnings.append(...ask.warnings.map((words) => element("li", "", words)));
    nodes.push(warnings);
  }
  const controls = element("div", "choices");
  for (const [decision, label] of ask.choices) {
    const button = element("button", decision === "allow-once" ? "main" : "quiet", label);
    button.type = "button";
    button.dataset.decision = decision;
    if (ask.command) button.setAttribute("aria-describedby", `${view.id}-command`);
    button.addEventListener("click", () => view.give({ decision }));
    controls.append(button);
  }
  return { nodes: [...nodes, controls], controls };
}

function question(ask, view) {
  const controls = element("form");
  controls.noValidate = true; // the browser's own bubbles know nothing of "one of these, or a text"
  controls.autocomplete = "off";
  const fields = ask.items.map((item, place) => field(item, `${view.id}-${place}`));
  const send = element("button", "main", "Answer");
  const skip = element("button", "quiet", "Skip");
  skip.type = "button";
  skip.addEventListener("click", () => view.give({ skip: true }));
  const choices = element("div", "choices");
  choices.append(send, skip);
  controls.append(...fields.map((one) => one.node), choices);
  controls.addEventListener("submit", (event) => {
    event.preventDefault();
    const missing = fields.find((one) => !one.answers().length);
    if (missing) {
      view.problem.textContent = "Answer everything, or skip it.";
      missing.focus();
    } else {
      view.give({ answers: Object.fromEntries(fields.map((one) => [one.id, one.answers()])) });
    }
  });
  // What was asked stays when the form is gone.
  const asked = element("ul", "asked");
  asked.append(...ask.items.map((item) => element("li", "", item.text)));
  return { nodes: [asked, controls], controls };
}

/** One item of a question: options, a text, or both. */
function field(item, id) {
  const node = element("fieldset");
  node.dataset.item = item.id;
  const legend = element("legend");
  if (item.header) legend.append(element("span", "header", item.header));
  legend.append(element("span", "", item.text));
  node.append(legend);
  const boxes = item.options.map((option, place) => choice(item, option, id, place));
  node.append(...boxes.map((box) => box.node));
  const inputs = boxes.map((box) => box.input);
  const own = item.free_text || !inputs.length ? ownText(item, id, inputs.length > 0) : null;
  if (own) node.append(own.node);
  if (own && !item.multiple) {
    // One answer: the last one given.
    own.input.addEventListener("input", () => {
      if (own.input.value.trim()) for (const box of inputs) box.checked = false;
    });
    for (const box of inputs) box.addEventListener("change", () => (own.input.value = ""));
  }
  return {
    id: item.id,
    node,
    answers() {
      const chosen = inputs.flatMap((box, place) => (box.checked ? [item.options[place].label] : []));
      return own?.input.value.trim() ? [...chosen, own.input.value] : chosen;
    },
    focus: () => (inputs[0] ?? own.input).focus(),
  };
}

function choice(item, option, id, place) {
  const node = element("label", "option");
  const input = element("input");
  input.type = item.multiple ? "checkbox" : "radio";
  input.name = id;
  const words = element("span");
  words.append(element("span", "choice", option.label));
  if (option.description) {
    const description = element("span", "description", option.description);
    description.id = `${id}-${place}`;
    input.setAttribute("aria-describedby", description.id);
    words.append(description);
  }
  input.setAttribute("aria-label", option.label);
  node.append(input, words);
  return { node, input };
}

function ownText(item, id, beside) {
  const node = element("label", "own");
  const input = element("input");
  input.type = item.secret ? "password" : "text";
  input.name = `${id}-own`;
  input.autocomplete = item.secret ? "new-password" : "off"; // neither filled in from what is kept, nor kept
  input.maxLength = 4000; // characters; an answer is a line, and a longer text is a message
  node.append(element("span", beside ? "" : "hidden", beside ? OWN : item.text), input);
  return { node, input };
}

function timeLeft(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  if (!seconds) return "The time is over.";
  if (seconds <= 120) return `${seconds} ${seconds === 1 ? "second" : "seconds"} left`;
  return `${Math.round(seconds / 60)} minutes left`;
}
