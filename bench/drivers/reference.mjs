// The reference client, npm @openclaw/gateway-client: node reference.mjs ARGUMENTS.
import { GatewayClient } from "@openclaw/gateway-client";
import { Meter, percentiles, report } from "./meter.mjs";

const args = JSON.parse(process.argv[2]);

function open() {
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
  });
  client.start();
  return promise;
}

let serial = 0;

// Follow one run: the text so far at every event, as an application would read it.
async function read({ client, listeners }, frames, stamps) {
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
  const message = `bench ${frames} ${args.size} ${args.pace ?? 0} ${args.kind ?? "saw"}`;
  await client.request("chat.send", { sessionKey: "main", message, idempotencyKey: runId });
  await promise;
  listeners.delete(runId);
  return events;
}

async function stream() {
  const connection = await open();
  await read(connection, args.warm);
  if (args.pace) await connection.client.request("bench.times", {});
  const stamps = args.pace ? [] : undefined;
  const meter = new Meter();
  const events = await read(connection, args.frames, stamps);
  const facts = { ...meter.stop(), units: args.frames, events };
  if (stamps) {
    const sent = await connection.client.request("bench.times", {});
    Object.assign(facts, percentiles(stamps.map((at, index) => Number(at - BigInt(sent[index])) / 1000)));
  }
  connection.client.stop();
  report(facts);
}

const work = { stream };
await work[args.what]();
process.exit(0);
