// Runs a capture through a program, then reads its maps and events as JavaScript values.
import { readFileSync } from "node:fs";
import { openKernel, readObject } from "skep";
import { BtfIndex, codecFor } from "skep/btf";
import { readCapture } from "skep/capture";

const fixture = (name) => readFileSync(new URL(`../fixtures/demo/${name}`, import.meta.url));
const spec = readObject(fixture("guard.bpf.o"));
const kernel = await openKernel("embedded");
const { programs, maps } = await kernel.load(spec);
const guard = programs.get("guard");
for (const { data } of readCapture(fixture("traffic.pcapng")).packets) guard.run({ data });

const traffic = maps.get("by_protocol");
const value = codecFor(spec.btf, traffic.spec.valueType);
for (const [key, bytes] of traffic.entries()) console.log(`protocol ${key[0]}:`, value.decode(bytes));

const event = codecFor(spec.btf, new BtfIndex(spec.btf).find("drop_event"));
const [first] = maps.get("drops").drain();
console.log("first drop:", event.decode(first.data));
