// A little Markdown, as models write it, made into elements. Text only ever becomes text nodes: nothing that a model
// or a user writes can become markup. Links are links only where they go to http, https or mailto.

const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})([^]*)$/;
const HEADING = /^(#{1,6})\s+([^]*)$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+([^]*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const ROW = /^\s*\|(.*)\|\s*$/;
const DIVIDER = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/;
const LONGEST_LINE = 3000; // characters; matching takes the square of them, and prose has shorter lines
const MOST_COLUMNS = 100; // of a table; a browser lays out columns in the square of their number
const DEEPEST = 6; // quotes and lists within each other; deeper ones stay as they are written

// What stands at the end of a text is cut off by hand: a pattern that is tried at every place takes the square of a long
// run of such characters.
function withoutEnd(text, character) {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end -= 1;
  return text.slice(0, end);
}

export function element(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.append(text);
  return node;
}

/** The source of each block. A block that is whole stays the same while the text grows. */
export function split(text) {
  const blocks = [];
  let lines = [];
  let fence = "";
  const flush = () => {
    if (lines.length) blocks.push(lines.join("\n"));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1];
    if (fence) {
      lines.push(line);
      if (closes(line, fence)) {
        fence = "";
        flush();
      }
    } else if (mark) {
      flush();
      fence = mark;
      lines.push(line);
    } else if (!line.trim()) {
      // A list goes on behind an empty line when its next line is an item or indented.
      if (lines.length && ITEM.test(lines[0])) lines.push("");
      else flush();
    } else if (lines.at(-1) === "" && !ITEM.test(line) && !/^\s{2,}/.test(line)) {
      flush();
      lines.push(line);
    } else if (HEADING.test(line) || RULE.test(line)) {
      flush();
      blocks.push(line);
    } else {
      if (lines.length && startsAnew(lines, line)) flush();
      lines.push(line);
    }
  }
  flush();
  return blocks;
}

function closes(line, fence) {
  const mark = FENCE.exec(line)?.[1];
  return mark !== undefined && mark.startsWith(fence) && line.trim() === mark;
}

function isTable(lines) {
  return ROW.test(lines[0]) && DIVIDER.test(lines[1] ?? "");
}

function startsAnew(lines, line) {
  const first = lines[0];
  if (isTable(lines)) return !ROW.test(line);
  if (ITEM.test(line) && !ITEM.test(first) && !QUOTE.test(first)) return true;
  return QUOTE.test(line) !== QUOTE.test(first) && !ITEM.test(first) ? true : ROW.test(line) && !ROW.test(first);
}

/** One block as an element. */
export function render(source, depth = 0) {
  const lines = withoutEnd(source, "\n").split("\n");
  const fence = FENCE.exec(lines[0]);
  if (fence) return code(lines, fence);
  const heading = HEADING.exec(lines[0]);
  if (heading) {
    const title = withoutEnd(heading[2].trimEnd(), "#").trimEnd();
    return inline(element(`h${Math.min(heading[1].length + 2, 6)}`), title);
  }
  if (RULE.test(lines[0])) return element("hr");
  if (depth < DEEPEST && QUOTE.test(lines[0])) return quote(lines, depth);
  if (depth < DEEPEST && ITEM.test(lines[0])) return list(lines, depth);
  if (isTable(lines)) {
    const rows = [lines[0], ...lines.slice(2)].map(cells);
    if (rows.every((row) => row.length <= MOST_COLUMNS)) return table(rows);
  }
  const paragraph = element("p");
  lines.forEach((line, index) => {
    if (index) paragraph.append(/ {2}$|\\$/.test(lines[index - 1]) ? element("br") : "\n");
    const ended = line.endsWith("  ") ? withoutEnd(line, " ") : line.replace(/\\$/, "");
    inline(paragraph, ended);
  });
  return paragraph;
}

function code(lines, [, mark, info]) {
  const closed = lines.length > 1 && closes(lines.at(-1), mark);
  const text = lines.slice(1, closed ? -1 : undefined).join("\n");
  const figure = element("figure", "code");
  const caption = element("figcaption", "", info.trim() || "text");
  const copy = element("button", "quiet copy", "Copy");
  copy.type = "button";
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  });
  caption.append(copy);
  const pre = element("pre");
  pre.tabIndex = 0; // a wide line is scrolled with the keyboard
  pre.append(element("code", "", text));
  figure.append(caption, pre);
  return figure;
}

function quote(lines, depth) {
  const node = element("blockquote");
  const inner = lines.map((line) => QUOTE.exec(line)?.[1] ?? line).join("\n");
  node.append(...split(inner).map((block) => render(block, depth + 1)));
  return node;
}

function list(lines, depth) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const node = element(ordered ? "ol" : "ul");
  if (ordered && parseInt(mark) !== 1) node.start = parseInt(mark);
  let item = [];
  const flush = () => {
    if (item.length) node.append(listItem(item, depth));
    item = [];
  };
  for (const line of lines) {
    const match = ITEM.exec(line);
    if (match && match[1].length <= indent.length) {
      flush();
      item = [match[3]];
    } else {
      item.push(line.replace(/^\s{1,4}/, ""));
    }
  }
  flush();
  return node;
}

function listItem(lines, depth) {
  const node = element("li");
  const blocks = split(lines.join("\n"));
  blocks.forEach((block, index) => {
    const inner = render(block, depth + 1);
    if (index === 0 && inner.tagName === "P") node.append(...inner.childNodes);
    else node.append(inner);
  });
  return node;
}

function cells(line) {
  return ROW.exec(line)[1].split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function table([first, ...rest]) {
  const frame = element("div", "table");
  frame.tabIndex = 0;
  // Appended: insertRow and insertCell go through all rows and cells that are there already.
  const head = element("tr");
  for (const cell of first) {
    const heading = element("th");
    heading.scope = "col";
    head.append(inline(heading, cell));
  }
  const [node, top, body] = [element("table"), element("thead"), element("tbody")];
  for (const row of rest) {
    const line = element("tr");
    for (const cell of row) line.append(inline(element("td"), cell));
    body.append(line);
  }
  top.append(head);
  node.append(top, body);
  frame.append(node);
  return frame;
}

const INLINE =
  /(`{1,3})(.+?)\1(?!`)|\*\*(?=\S)(.+?)\*\*|(?<![\w*])[*_](?=[^\s*_])(.+?)[*_](?![\w*])|~~(?=\S)(.+?)~~|\[([^\]\n]+)\]\(([^\s()]+)\)|(https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]])|\\([\\`*_~[\]()#+.!|>-])/;

/** Append a line's text to a node, with emphasis, code and links; returns the node. */
function inline(node, text, depth = 0) {
  let rest = text;
  for (;;) {
    const match = depth < DEEPEST && text.length <= LONGEST_LINE ? INLINE.exec(rest) : null;
    if (!match) break;
    const [all, , codeText, strong, emphasis, struck, label, target, address, escaped] = match;
    if (match.index) node.append(rest.slice(0, match.index));
    if (codeText !== undefined) node.append(element("code", "", codeText.replace(/^ (.+) $/, "$1")));
    else if (strong) node.append(inline(element("strong"), strong, depth + 1));
    else if (emphasis) node.append(inline(element("em"), emphasis, depth + 1));
    else if (struck) node.append(inline(element("del"), struck, depth + 1));
    else if (target) node.append(link(target, label) ?? all);
    else if (address) node.append(link(address, address) ?? all);
    else node.append(escaped);
    rest = rest.slice(match.index + all.length);
  }
  if (rest) node.append(rest);
  return node;
}

function link(target, label) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return null;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return null;
  const node = element("a", "", label);
  node.href = url.href;
  node.rel = "noopener noreferrer nofollow";
  node.target = "_blank";
  return node;
}
