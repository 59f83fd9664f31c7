// The page's end of the feed: one EventSource, kept alive. Nothing is lost or doubled, because every event has an id,
// and whoever comes back names the last one. The browser does that by itself after a cut; after an answer that is no
// stream (a proxy's 502, a restarted server) it gives up, and this goes on with the id as a parameter.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 8000;
const NAMES = ["snapshot", "entry", "text", "thinking", "tool", "status", "ask", "unasked", "connection"];

export function follow({ onEvent, onUp, onDown, onSignedOut }) {
  let source;
  let last = "";
  let delay = FIRST_DELAY;
  let timer = 0;

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/api/events" + (last ? `?after=${encodeURIComponent(last)}` : ""));
    source.addEventListener("open", () => {
      delay = FIRST_DELAY;
      onUp();
    });
    source.addEventListener("error", down);
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        last = event.lastEventId;
        onEvent(name, JSON.parse(event.data));
      });
    }
  }

  async function down() {
    onDown();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    clearTimeout(timer);
    timer = setTimeout(open, delay * (0.5 + Math.random() / 2));
    delay = Math.min(2 * delay, LONGEST_DELAY);
    try {
      const answer = await fetch("/api/me");
      if (answer.status === 401) onSignedOut();
    } catch {
      // Still away: the timer goes on.
    }
  }

  // A phone that wakes up should not wait for a timer.
  addEventListener("online", open);
  open();
  return { open };
}
