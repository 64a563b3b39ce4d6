import type { Heap } from "../helper-call.ts";
import type { EmbeddedMap } from "../maps/map.ts";
import { SocketObjects } from "./packet/socket-objects.ts";
import { TimerQueue } from "./timer-queue.ts";

/** An object that a program made with `bpf_obj_new` and the like. */
export interface ProgramObject {
  readonly size: number;
  /** Bytes from one CPU's copy to the next; 0: one copy for all. */
  readonly stride: number;
  /** Owners; freed at zero. */
  count: number;
}

/** What a kptr field of a map value holds: enough to make a pointer of it again. */
export interface StoredPointer {
  readonly address: number;
  readonly kind: number;
  readonly base: number;
  readonly end: number;
}

/** A node in a list or tree: its address inside the object that starts at `base`. */
export interface LinkedNode {
  readonly node: number;
  readonly base: number;
  readonly size: number;
}

/** What helpers keep between runs: one object for each kernel, made by the engine. */
export class HelperState {
  readonly timers = new TimerQueue();
  /** Sockets that programs were shown. */
  readonly sockets = new SocketObjects();
  /** 8 bytes for the key of an array element whose timer fires; 0 before the first. */
  keyScratch = 0;
  /** Reserved ring-buffer records by address. */
  readonly records = new Map<number, EmbeddedMap>();
  /** Objects by address. */
  readonly objects = new Map<number, ProgramObject>();
  /** kptrs by the address of the field. */
  readonly pointers = new Map<number, StoredPointer>();
  /** Lists and trees by the address of their head, in order. */
  readonly lists = new Map<number, LinkedNode[]>();
  /** Addresses of the nodes that are in a list or tree. */
  readonly linked = new Set<number>();
  private readonly heap: Heap;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  /**
   * The `size` bytes of a map value or object at `start` go away: timers in them are cancelled, objects that they own
   * are dropped. Maps call it through `CreateMapOptions.onFree`.
   */
  forget(start: number, size: number): void {
    const within = (address: number): boolean => address >= start && address < start + size;
    this.timers.forget(start, size);
    for (const [slot, { base }] of this.pointers) {
      if (!within(slot)) continue;
      this.pointers.delete(slot);
      this.dropObject(base);
    }
    for (const [head, list] of this.lists) {
      if (!within(head)) continue;
      this.lists.delete(head);
      for (const { node, base } of list) {
        this.linked.delete(node);
        this.dropObject(base);
      }
    }
  }

  /** One owner fewer; without any the object is freed, and what it owns with it. */
  dropObject(base: number): void {
    const object = this.objects.get(base);
    if (object === undefined || --object.count > 0) return;
    this.objects.delete(base);
    this.forget(base, object.size);
    this.heap.free(base);
  }
}
