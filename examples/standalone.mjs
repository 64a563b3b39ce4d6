// A program as a WebAssembly module of its own, as `skep build` writes it. Run: node examples/standalone.mjs
import { readFileSync } from "node:fs";
import { fromHex, readObject, verifierGate } from "skep";
import { buildStandalone } from "skep/aot";

const object = readObject(readFileSync(new URL("../fixtures/demo/guard.bpf.o", import.meta.url)));
const { wasm, description } = await buildStandalone(object, { name: "guard", gate: verifierGate() });
console.log(`${(wasm.length / 1024).toFixed(1)} KiB, imports: ${description.imports.length}`);

// From here on nothing of Skep is needed: any host of WebAssembly can do this.
const { instance } = await WebAssembly.instantiate(wasm);
const { memory, packet_buffer, run_guard } = instance.exports;
const telnet = fromHex(
  "020000000002020000000001 0800 45000028000040004006b6b5c000020ac0000201 9c400017000000010000000050020200 00000000",
);
const at = packet_buffer(telnet.length);
new Uint8Array(memory.buffer).set(telnet, at);
console.log("verdict of a telnet packet:", run_guard(at, telnet.length), "(1 is XDP_DROP)");
