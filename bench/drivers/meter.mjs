// What the Node drivers measure with: user and system time of this process, and the clock on the wall.
import { readFileSync } from "node:fs";

export class Meter {
  constructor() {
    this.cpu = process.cpuUsage();
    this.wall = process.hrtime.bigint();
  }

  stop() {
    const used = process.cpuUsage(this.cpu);
    return { cpu: (used.user + used.system) / 1e6, wall: Number(process.hrtime.bigint() - this.wall) / 1e9 };
  }
}

export function percentiles(values) {
  const ordered = values.toSorted((a, b) => a - b);
  // In whole numbers, as in meter.py: the product with 0.99 may fall short of its place.
  const at = (percent) => ordered[Math.min(ordered.length - 1, Math.floor((ordered.length * percent) / 100))];
  return { p50: at(50), p99: at(99) };
}

// Warming up, as in warm.py: the same block until two in a row cost the same within 3 %, at most twelve.
export async function warm(args, work) {
  const units = args.warm * (args.times ?? 1);
  const costs = [];
  const steady = () => {
    const [one, other] = costs.slice(-2);
    return costs.length >= 2 && Math.max(one, other) <= 1.03 * Math.min(one, other);
  };
  while (!steady() && costs.length < 12) {
    const meter = new Meter();
    for (let left = args.times ?? 1; left > 0; left -= 1) await work(args.warm);
    costs.push(meter.stop().cpu);
  }
  return { cold: costs[0] / units, warmed: costs.length * units, unsteady: steady() ? 0 : 1 };
}

// Small requests, args.count of them at a time: their waits in microseconds.
export async function requests(client, args) {
  const params = { sessionKey: "main", message: "How are you today?" };
  const waits = [];
  const worker = async (left) => {
    for (; left > 0; left -= 1) {
      const begun = performance.now();
      await client.request("bench.echo", params);
      waits.push((performance.now() - begun) * 1000);
    }
  };
  const all = (count) => Promise.all(Array.from({ length: args.count }, () => worker(Math.floor(count / args.count))));
  const facts = await warm(args, all);
  waits.length = 0;
  const meter = new Meter();
  await all(args.frames);
  return { ...meter.stop(), units: waits.length, ...percentiles(waits), ...facts };
}

function line(path, name) {
  return Number(readFileSync(path, "utf8").match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))?.[1] ?? 0);
}

export function memory() {
  const rollup = "/proc/self/smaps_rollup";
  return {
    rss_kib: line("/proc/self/status", "VmRSS"),
    private_kib: line(rollup, "Private_Clean") + line(rollup, "Private_Dirty"),
  };
}

export function report(facts) {
  const text = JSON.stringify({ ...facts, peak_kib: line("/proc/self/status", "VmHWM") });
  process.stdout.write(`${text}\n`);
}
