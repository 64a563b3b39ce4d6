import { MapBase, type MapParts } from "./base.ts";
import {
  BPF_EXIST,
  BPF_NOEXIST,
  E2BIG,
  EBADF,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSPC,
  EOPNOTSUPP,
} from "./constants.ts";
import type { CreateMapOptions, ObjectRegistry } from "./map.ts";
import { indexOf, keyOf, type Slot, SlotMap } from "./slots.ts";

/** A socket in a map: the id the host gave it. */
interface HeldSocket {
  readonly id: number;
}

/** The id in a value: u32 or u64; -errno as `sock_map_update_elem_sys`. */
function socketIn(value: Uint8Array): HeldSocket | number {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const id = value.length === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true));
  if (id > 0x7fffffffn) return -EINVAL;
  return id === 0n ? -EBADF : { id: Number(id) };
}

/** What bpf(2) reads back: the socket's cookie, and only where it fits. */
function cookieOf(socket: HeldSocket, valueSize: number): Uint8Array | number {
  if (valueSize !== 8) return -ENOSPC;
  const cookie = new Uint8Array(8);
  cookie.set(keyOf(socket.id));
  return cookie;
}

/**
 * BPF_MAP_TYPE_SOCKMAP (4.14): sockets to redirect to, under an index. The host writes ids of its sockets; what they
 * look like to programs comes from the registry. net/core/sock_map.c @ v6.12.
 */
export class SockMap extends SlotMap<HeldSocket> {
  override readonly lookupGives = "socket";
  private readonly registry: ObjectRegistry | undefined;

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.registry = options.registry;
  }

  override socketAt(key: number): number {
    return this.slots.get(this.module.memory.view.getUint32(key, true))?.item.id ?? 0;
  }

  override lookupElem(key: number, _cpu: number): number {
    const id = this.socketAt(key);
    return id === 0 ? 0 : (this.registry?.socketAddress?.(id) ?? 0);
  }

  override socketUpdate(key: number, socket: number, flags: number): number {
    return this.set(this.module.memory.view.getUint32(key, true), { id: socket }, flags);
  }

  /** `value` is the address of a socket. */
  override updateElem(key: number, value: number, flags: number, _cpu: number): number {
    const id = this.registry?.socketId?.(value) ?? 0;
    return id === 0 ? -EOPNOTSUPP : this.socketUpdate(key, id, flags);
  }

  override deleteElem(key: number): number {
    return this.sysDelete(this.module.memory.read(key, 4));
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const socket = this.itemFor(value);
    return typeof socket === "number" ? socket : this.set(indexOf(key), socket, flags);
  }

  protected override sysDelete(key: Uint8Array): number {
    const index = indexOf(key);
    return index < this.spec.maxEntries && this.drop(index) ? 0 : -EINVAL;
  }

  protected override itemFor(value: Uint8Array): HeldSocket | number {
    return socketIn(value);
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    return this.spec.valueSize !== 8 ? -ENOSPC : super.sysLookup(key);
  }

  protected override hostValue(slot: Slot<HeldSocket>): Uint8Array | number {
    return cookieOf(slot.item, this.spec.valueSize);
  }

  /** `sock_map_update_common`. */
  protected set(index: number, socket: HeldSocket, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    if (index >= this.spec.maxEntries) return -E2BIG;
    const known = this.slots.has(index);
    if (known && flags === BPF_NOEXIST) return -EEXIST;
    if (!known && flags === BPF_EXIST) return -ENOENT;
    return this.put(index, socket);
  }
}

/** BPF_MAP_TYPE_REUSEPORT_SOCKARRAY (4.19). kernel/bpf/reuseport_array.c @ v6.12. */
export class ReuseportSockArray extends SockMap {
  override updateElem(_key: number, _value: number, _flags: number, _cpu: number): number {
    return -EOPNOTSUPP;
  }

  protected override sysDelete(key: Uint8Array): number {
    const index = indexOf(key);
    if (index >= this.spec.maxEntries) return -E2BIG;
    return this.drop(index) ? 0 : -ENOENT;
  }
}

/** BPF_MAP_TYPE_SOCKHASH (4.18): sockets under keys of any size. */
export class SockHash extends MapBase {
  override readonly lookupGives = "socket";
  private readonly registry: ObjectRegistry | undefined;
  /** By key as text, one character a byte, in order of insertion. */
  private readonly sockets = new Map<string, { readonly key: Uint8Array; readonly socket: HeldSocket }>();

  constructor(parts: MapParts, options: CreateMapOptions) {
    super(parts);
    this.registry = options.registry;
  }

  override get count(): number {
    return this.sockets.size;
  }

  override socketAt(key: number): number {
    return this.sockets.get(textOf(this.module.memory.read(key, this.spec.keySize)))?.socket.id ?? 0;
  }

  override lookupElem(key: number, _cpu: number): number {
    const id = this.socketAt(key);
    return id === 0 ? 0 : (this.registry?.socketAddress?.(id) ?? 0);
  }

  override socketUpdate(key: number, socket: number, flags: number): number {
    return this.set(this.module.memory.read(key, this.spec.keySize), { id: socket }, flags);
  }

  override updateElem(key: number, value: number, flags: number, _cpu: number): number {
    const id = this.registry?.socketId?.(value) ?? 0;
    return id === 0 ? -EOPNOTSUPP : this.socketUpdate(key, id, flags);
  }

  override deleteElem(key: number): number {
    return this.sysDelete(this.module.memory.read(key, this.spec.keySize));
  }

  protected override sysLookup(key: Uint8Array): Uint8Array | number {
    if (this.spec.valueSize !== 8) return -ENOSPC;
    const entry = this.sockets.get(textOf(key));
    return entry === undefined ? -ENOENT : cookieOf(entry.socket, 8);
  }

  protected override sysUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const socket = socketIn(value);
    return typeof socket === "number" ? socket : this.set(key, socket, flags);
  }

  protected override sysDelete(key: Uint8Array): number {
    return this.sockets.delete(textOf(key)) ? 0 : -ENOENT;
  }

  protected override sysNextKey(key: Uint8Array | undefined): Uint8Array | number {
    const texts = [...this.sockets.keys()];
    const next = texts[(key === undefined ? -1 : texts.indexOf(textOf(key))) + 1];
    return next === undefined ? -ENOENT : this.sockets.get(next)!.key.slice();
  }

  private set(key: Uint8Array, socket: HeldSocket, flags: number): number {
    if (flags > BPF_EXIST) return -EINVAL;
    const text = textOf(key);
    const known = this.sockets.has(text);
    if (known && flags === BPF_NOEXIST) return -EEXIST;
    if (!known && flags === BPF_EXIST) return -ENOENT;
    if (!known && this.sockets.size >= this.spec.maxEntries) return -E2BIG;
    this.sockets.set(text, { key: key.slice(), socket });
    return 0;
  }
}

function textOf(key: Uint8Array): string {
  let text = "";
  for (const byte of key) text += String.fromCharCode(byte);
  return text;
}
