import { type Btf, parseBtf } from "../../btf/index.ts";
import { objectInfo } from "../object-info.ts";
import type { Fd, Sys } from "../sys/index.ts";
import { openId } from "./ids.ts";

/** `struct bpf_btf_info`: where the bytes go, and how many. */
const AT = { bytes: 0, size: 8, id: 12 } as const;
const SIZE = 32;

/** BTF objects in the kernel, by id; each is read once. */
export class KernelBtfs {
  private readonly sys: Sys;
  private readonly known = new Map<number, Btf | undefined>();

  constructor(sys: Sys) {
    this.sys = sys;
  }

  /** Undefined for 0, for ids that are gone, and for what cannot be read. */
  get(id: number): Btf | undefined {
    if (id === 0) return undefined;
    if (!this.known.has(id)) this.known.set(id, this.read(id));
    return this.known.get(id);
  }

  private read(id: number): Btf | undefined {
    using fd = openId(this.sys, "btf", id);
    if (fd === undefined) return undefined;
    const bytes = this.bytesOf(fd);
    return bytes && parseBtf(bytes);
  }

  private bytesOf(fd: Fd): Uint8Array | undefined {
    const { sys } = this;
    const size = objectInfo(sys, fd, SIZE)?.getUint32(AT.size, true);
    if (size === undefined || size === 0) return undefined;
    const bytes = new Uint8Array(size);
    const info = new Uint8Array(SIZE);
    const view = new DataView(info.buffer);
    view.setBigUint64(AT.bytes, sys.libc.addressOf(bytes), true);
    view.setUint32(AT.size, size, true);
    const { result } = sys.tryBpf("BPF_OBJ_GET_INFO_BY_FD", { bpfFd: fd, infoLen: SIZE, info });
    return result < 0 ? undefined : bytes;
  }
}
