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
  await all(args.warm);
  waits.length = 0;
  const meter = new Meter();
  await all(args.frames);
  return { ...meter.stop(), units: waits.length, ...percentiles(waits) };
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
