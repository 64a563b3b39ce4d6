// The main job on the object and the capture in fixtures/demo: prints the command, then what it prints.
import { spawnSync } from "node:child_process";

const args = [
  "run",
  "fixtures/demo/guard.bpf.o",
  "--pcap",
  "fixtures/demo/traffic.pcapng",
  "--map",
  "blocked=fixtures/demo/blocked.json",
  "--event",
  "drops=drop_event",
  "--limit",
  "8",
];
console.log(`$ skep ${args.join(" ")}\n`);
process.exitCode =
  spawnSync(process.execPath, ["dist/cli/bin.js", ...args], { stdio: "inherit" }).status ?? 1;
