// The reference client, npm @openclaw/gateway-client: node reference.mjs ARGUMENTS.
import { GatewayClient } from "@openclaw/gateway-client";
import { Meter, memory, percentiles, report, requests, warm } from "./meter.mjs";

const args = JSON.parse(process.argv[2]);

function open(options = {}) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const listeners = new Map();
  const client = new GatewayClient({
    url: args.url,
    token: "bench",
    minProtocol: 4,
    maxProtocol: 4,
    onHelloOk: () => resolve({ client, listeners }),
    onConnectError: reject,
    onEvent: (event) => {
      if (event.event === "chat") listeners.get(event.payload.runId)?.(event.payload);
    },
    ...options,
  });
  client.start();
  return promise;
}

let serial = 0;

// Follow one run: the text so far at every event, as an application would read it.
async function read({ client, listeners }, frames, stamps, pace = args.pace ?? 0) {
  const runId = `11111111-2222-4333-8444-${String(++serial).padStart(12, "0")}`;
  const { promise, resolve } = Promise.withResolvers();
  let events = 0;
  let length = 0;
  listeners.set(runId, (payload) => {
    if (payload.state === "delta") {
      events += 1;
      length += payload.message.content[0].text.length;
      stamps?.push(process.hrtime.bigint());
    } else if (payload.state === "final") {
      resolve();
    }
  });
  const message = `bench ${frames} ${args.size} ${pace} ${args.kind ?? "saw"}`;
  await client.request("chat.send", { sessionKey: "main", message, idempotencyKey: runId });
  await promise;
  listeners.delete(runId);
  return events;
}

async function stream() {
  const connection = await open();
  const facts = await warm(args, (frames) => read(connection, frames, undefined, 0));
  const times = args.times ?? 1;
  const meter = new Meter();
  let events = 0;
  for (let left = times; left > 0; left -= 1) events += await read(connection, args.frames);
  report({ ...meter.stop(), units: args.frames * times, events, ...facts });
  connection.client.stop();
}

// A frame at a time; what counts is when it is in the reader's hands.
async function paced() {
  const connection = await open();
  await warm(args, (frames) => read(connection, frames, undefined, 0));
  await read(connection, args.count);
  await connection.client.request("bench.times", {});
  const stamps = [];
  const meter = new Meter();
  const events = await read(connection, args.frames, stamps);
  const facts = { ...meter.stop(), units: args.frames, events };
  const sent = await connection.client.request("bench.times", {});
  report({ ...facts, ...percentiles(stamps.map((at, index) => Number(at - BigInt(sent[index])) / 1000)) });
  connection.client.stop();
}

async function rpc() {
  const { client } = await open();
  report(await requests(client, args));
}

async function idle() {
  const first = await open();
  await first.client.request("bench.echo", {});
  globalThis.gc?.();
  const before = memory();
  const meter = new Meter();
  let left = args.count;
  const worker = async () => {
    while (left-- > 0) await open();
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  const facts = { ...meter.stop(), units: args.count };
  await new Promise((resolve) => setTimeout(resolve, 500));
  globalThis.gc?.();
  const each_kib = (memory().private_kib - before.private_kib) / args.count;
  report({ ...facts, each_kib, alone_kib: before.rss_kib });
}

// A node that answers calls of one tool, as an application would write it: that client has no tools.
async function calls() {
  const [driver, node] = [await open(), await open({ role: "node", clientName: "node-host", mode: "node", onEvent: answer })];
  function answer(event) {
    if (event.event !== "node.invoke.request") return;
    const { id, nodeId, paramsJSON } = event.payload;
    const { tool, arguments: given } = JSON.parse(paramsJSON);
    if (tool !== "echo") return;
    const payload = { content: [{ type: "text", text: given.text }] };
    node.client.request("node.invoke.result", { id, nodeId, ok: true, payload }).catch(() => process.exit(1));
  }
  const entry = { pluginId: "node-mcp", name: "echo", description: "Say it again.", command: "mcp.tools.call.v1" };
  await node.client.request("node.pluginTools.update", { tools: [entry] });
  const call = (number) =>
    driver.client.request("bench.calls", { message: `bench ${number} ${args.size} ${args.count}` }, { timeoutMs: 120000 });
  const facts = await warm(args, call);
  const meter = new Meter();
  await call(args.frames);
  report({ ...meter.stop(), units: args.frames, ...facts });
}

const work = { stream: args.pace ? paced : stream, rpc, idle, calls };
await work[args.what]();
process.exit(0);
