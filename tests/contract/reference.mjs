// The reference client, npm @openclaw/gateway-client: node reference.mjs MODULE URL TOKEN CALLS
// Makes the calls one after the other, and prints a line of JSON for each.
const [module, url, token, calls] = process.argv.slice(2);
const { GatewayClient } = await import(module);

const { promise, resolve, reject } = Promise.withResolvers();
const client = new GatewayClient({
  url,
  token,
  minProtocol: 4,
  maxProtocol: 4,
  role: "operator",
  scopes: [
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
  ],
  onHelloOk: resolve,
  onConnectError: reject,
});
client.start();
await promise;
for (const [method, params] of JSON.parse(calls)) {
  const outcome = await client.request(method, params).then(
    (payload) => ({ payload }),
    (error) => ({ code: error.gatewayCode ?? error.code, message: error.message }),
  );
  console.log(JSON.stringify({ method, ...outcome }));
}
await client.stopAndWait();
