// The npm package openclaw-node: node openclaw-node.mjs ARGUMENTS. Its chat() reads `agent` events, so it is sent those.
import { OpenClawClient } from "openclaw-node";
import { Meter, report, requests, warm } from "./meter.mjs";

const args = JSON.parse(process.argv[2]);
process.removeAllListeners("warning");

async function open() {
  const client = new OpenClawClient({ url: args.url, token: "bench", autoReconnect: false, deviceIdentityPath: args.identity });
  await client.connect();
  return client;
}

async function read(client, frames) {
  let events = 0;
  let length = 0;
  for await (const chunk of client.chat(`bench ${frames} ${args.size} 0 ${args.kind ?? "saw"}`, { sessionKey: "main" })) {
    if (chunk.type === "text") {
      events += 1;
      length += chunk.text.length;
    }
  }
  return events;
}

async function stream() {
  const client = await open();
  const facts = await warm(args, (frames) => read(client, frames));
  const meter = new Meter();
  const events = await read(client, args.frames);
  report({ ...meter.stop(), units: args.frames, events, ...facts });
}

async function rpc() {
  report(await requests(await open(), args));
}

const work = { stream, rpc };
await work[args.what]();
process.exit(0);
