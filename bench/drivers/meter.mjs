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
  const at = (share) => ordered[Math.min(ordered.length - 1, Math.floor(ordered.length * share))];
  return { p50: at(0.5), p99: at(0.99) };
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
