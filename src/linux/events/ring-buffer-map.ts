import type { GlobalVariable } from "../../object/index.ts";
import { EventReadingMap } from "./event-map.ts";
import { RingBuffer } from "./ring-buffer.ts";

/** BPF_MAP_TYPE_RINGBUF (Linux 5.8). */
export class RingBufferMap extends EventReadingMap {
  private ring: RingBuffer | undefined;

  override countLostBy(variable: GlobalVariable): void {
    this.buffer.lostCounter = () => Number(variable.get());
  }

  protected get rings(): readonly RingBuffer[] {
    return [this.buffer];
  }

  protected closeRings(): void {
    this.ring?.close();
  }

  private get buffer(): RingBuffer {
    this.ring ??= new RingBuffer(this.context, this.handle, this.spec.maxEntries, this.name);
    return this.ring;
  }
}
