import { runDemo } from "./demo.ts";

async function bytes(path: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(path)).arrayBuffer());
}

postMessage(await runDemo(await bytes("/guard.bpf.o"), await bytes("/traffic.pcapng")));
