import { BpfError } from "../../base/index.ts";
import { onlineCpus } from "../load/kernel-facts.ts";
import { EventReadingMap } from "./event-map.ts";
import { PerfRing } from "./perf-ring.ts";

/** Pages of data for each CPU when nothing was said: 256 KiB. */
const PAGES = 64;

/** BPF_MAP_TYPE_PERF_EVENT_ARRAY as `bpf_perf_event_output` uses it: a buffer for each CPU. */
export class PerfBufferMap extends EventReadingMap {
  private opened: readonly PerfRing[] | undefined;

  override openBuffers(pages = PAGES): void {
    if (this.opened !== undefined) return;
    if (!Number.isInteger(pages) || pages < 1 || (pages & (pages - 1)) !== 0) {
      throw new BpfError("linux/invalid", `a perf buffer has a power of two of pages, not ${pages}`, {
        errno: "EINVAL",
        subject: this.name,
      });
    }
    const rings: PerfRing[] = [];
    try {
      for (const cpu of onlineCpus().filter((cpu) => cpu < this.spec.maxEntries)) {
        const ring = new PerfRing(this.context, cpu, pages, this.name);
        rings.push(ring);
        this.update(int(cpu), int(ring.handle.number));
      }
    } catch (error) {
      for (const ring of rings) ring.close();
      throw error;
    }
    this.opened = rings;
  }

  protected get rings(): readonly PerfRing[] {
    this.openBuffers();
    return this.opened ?? [];
  }

  protected closeRings(): void {
    for (const ring of this.opened ?? []) ring.close();
  }
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
