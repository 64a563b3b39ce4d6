// The same object in the kernel of this machine: typed maps, records and globals, and what the kernel says of it. Needs
// root on Linux; says why it does nothing elsewhere.
import { readFileSync } from "node:fs";
import { loadTyped, openKernel, readObject } from "skep";
import { readCapture } from "skep/capture";

if (process.platform !== "linux" || process.getuid() !== 0) {
  console.log("skipped: loading into the kernel needs Linux and root");
  process.exit();
}

const fixture = (name) => readFileSync(new URL(`../fixtures/demo/${name}`, import.meta.url));
const kernel = await openKernel("linux");
try {
  // `skep gen guard.bpf.o -o guard.ts` writes a module whose load() is this call, with types for all of it.
  const guard = await loadTyped(
    kernel,
    readObject(fixture("guard.bpf.o")),
    { globals: { blocked_port: 23 } },
    { drops: "drop_event" },
  );
  guard.maps.blocked.update({ prefixlen: 24, addr: [203, 0, 113, 0] }, 0);
  // BPF_PROG_TEST_RUN: no interface is touched. `guard.programs.guard.attach({ kind: "xdp", interface: "eth0" })` would.
  for (const { data } of readCapture(fixture("traffic.pcapng")).packets) guard.programs.guard.run({ data });

  for (const [protocol, { packets, bytes }] of guard.maps.by_protocol) {
    console.log(`protocol ${protocol}: ${packets} packets, ${bytes} bytes`);
  }
  const drops = guard.events.drops.drain();
  console.log(`${drops.length} drops, the first:`, drops[0].data);
  console.log(`not IP: ${guard.globals.not_ip}`);
  const { id } = guard.programs.guard;
  const info = [...kernel.inspect.programs()].find((program) => program.id === id);
  console.log(`the kernel calls it ${info.name}, tag ${info.tag}, ${info.jitedBytes} bytes of machine code`);
} finally {
  kernel[Symbol.dispose](); // closes, detaches and unloads all that was made through it
}
