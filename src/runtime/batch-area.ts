import { BpfError } from "../base/index.ts";
import type { PacketBatch } from "../object/index.ts";
import {
  BATCH_BYTES,
  BATCH_HEADER_BYTES,
  BATCH_INTERFACES,
  BATCH_OUTPUT,
  BATCH_OUTPUT_SIZE,
  BATCH_QUEUES,
  BATCH_RESULT_BYTES,
  BATCH_RESULTS,
  BATCH_SPANS,
  BATCH_TEMPLATE,
} from "./layout.ts";
import type { KernelModule } from "./wasm-module.ts";

/** Bytes and packets that are put into linear memory at a time: what a processor's cache holds. */
export const CHUNK_BYTES = 512 * 1024;
export const CHUNK_PACKETS = 8192;
const OUTPUT_BYTES = 1 << 20;
/** Wasm copies whole words, so up to 7 bytes behind a packet are read. */
const SLACK = 8;
const TEMPLATE_BYTES = 512;
const MAX_RINGS = 63;

/** The linear memory that packets are run from: header (`layout.ts`), packets, results. One for each thread that runs. */
export class BatchArea {
  readonly header: number;
  readonly bytes: number;
  readonly spans: number;
  readonly results: number;
  readonly template: number;
  readonly interfaces: number;
  readonly queues: number;
  readonly rings: number;
  /** Where packets go after their run. */
  readonly output: number;
  readonly outputSize = OUTPUT_BYTES;
  /** Where all of it begins. */
  readonly block: number;
  private readonly module: KernelModule;

  /** @param block one that another thread has made. @throws BpfError `runtime/out-of-memory`. */
  constructor(module: KernelModule, block?: number) {
    this.module = module;
    let size = 0;
    const place = (bytes: number): number => {
      size += (bytes + 15) & ~15;
      return size - ((bytes + 15) & ~15);
    };
    const [header, template, rings, spans, results, interfaces, queues, bytes, output] = [
      BATCH_HEADER_BYTES,
      TEMPLATE_BYTES,
      4 * (MAX_RINGS + 1),
      8 * CHUNK_PACKETS,
      BATCH_RESULT_BYTES * CHUNK_PACKETS,
      4 * CHUNK_PACKETS,
      4 * CHUNK_PACKETS,
      CHUNK_BYTES + SLACK,
      OUTPUT_BYTES,
    ].map(place);
    this.block = block ?? module.exports.alloc(size) >>> 0;
    if (this.block === 0)
      throw new BpfError("runtime/out-of-memory", "no room for a batch of packets", { errno: "ENOMEM" });
    this.header = this.block + header;
    this.template = this.block + template;
    this.rings = this.block + rings;
    this.spans = this.block + spans;
    this.results = this.block + results;
    this.interfaces = this.block + interfaces;
    this.queues = this.block + queues;
    this.bytes = this.block + bytes;
    this.output = this.block + output;
    if (block !== undefined) return;
    this.set(BATCH_TEMPLATE, this.template);
    this.set(BATCH_SPANS, this.spans);
    this.set(BATCH_RESULTS, this.results);
    this.set(BATCH_BYTES, this.bytes);
  }

  /** A field of the header. */
  get(field: number): number {
    return this.module.memory.view.getUint32(this.header + field, true);
  }

  set(field: number, value: number): void {
    this.module.memory.view.setUint32(this.header + field, value, true);
  }

  /** The packets that stand here: views. */
  packets(count: number, interfaces: boolean, queues: boolean): PacketBatch {
    const { u8, u32 } = this.module.memory;
    const words = (at: number, length: number) => u32.subarray(at >> 2, (at >> 2) + length);
    return {
      bytes: u8.subarray(this.bytes, this.bytes + CHUNK_BYTES),
      spans: words(this.spans, 2 * count),
      ...(interfaces && { interfaces: words(this.interfaces, count) }),
      ...(queues && { queues: words(this.queues, count) }),
    };
  }

  /** Which optional parts a run uses. */
  use(parts: { readonly output: boolean; readonly interfaces: boolean; readonly queues: boolean }): void {
    this.set(BATCH_OUTPUT, parts.output ? this.output : 0);
    this.set(BATCH_OUTPUT_SIZE, OUTPUT_BYTES);
    this.set(BATCH_INTERFACES, parts.interfaces ? this.interfaces : 0);
    this.set(BATCH_QUEUES, parts.queues ? this.queues : 0);
  }

  /** Writes the ring buffers to be watched; false when they are more than there is room for. */
  watch(rings: readonly number[]): boolean {
    if (rings.length > MAX_RINGS) return false;
    const { u32 } = this.module.memory;
    u32[this.rings >> 2] = rings.length;
    u32.set(rings, (this.rings >> 2) + 1);
    return true;
  }

  free(): void {
    this.module.exports.free(this.block);
  }
}
