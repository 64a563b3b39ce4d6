import { readCapture, toEthernet } from "../../src/capture/index.ts";
import { openKernel } from "../../src/kernel/index.ts";
import { readObject } from "../../src/object/index.ts";

/** Runs the demo program over the demo capture: how often each value was returned, and what the map says. */
export async function runDemo(object: Uint8Array, capture: Uint8Array) {
  const kernel = await openKernel("embedded");
  const collection = await kernel.load(readObject(object));
  const guard = collection.programs.get("guard")!;
  const verdicts: Record<number, number> = {};
  for (const packet of readCapture(capture).packets) {
    const { retval } = guard.run({ data: toEthernet(packet.data, packet.linkType) });
    verdicts[retval] = (verdicts[retval] ?? 0) + 1;
  }
  const traffic = [...collection.maps.get("by_protocol")!.entries()].map(([key, value]) => [
    [...key],
    [...value],
  ]);
  return { verdicts, traffic };
}
