import { existsSync, readFileSync } from "node:fs";
import { release, version } from "node:os";
import { gunzipSync } from "node:zlib";
import { BpfError } from "../../base/index.ts";
import { BtfIndex, parseBtf } from "../../btf/index.ts";
import type { GlobalValue } from "../../object/index.ts";
import { fixedText } from "../object-info.ts";
import type { Fd, Sys } from "../sys/index.ts";
import { versionCode } from "../version.ts";
import { type FeatureName, probeFeature } from "./features.ts";

/** BTF of the kernel or of a module, with the descriptor that programs name it by. */
export interface KernelBtf {
  readonly index: BtfIndex;
  /** `"vmlinux"` or the module's name. */
  readonly name: string;
  /** Descriptor of the module's BTF; undefined for vmlinux. */
  readonly fd: Fd | undefined;
}

/** What the running kernel is and has. Each fact is read once, when first asked for. */
export class KernelFacts {
  private readonly sys: Sys;
  private readonly features = new Map<FeatureName, boolean>();
  private vmlinuxBtf: KernelBtf | undefined;
  private moduleBtfs: readonly KernelBtf[] | undefined;
  private symbols: ReadonlyMap<string, bigint> | undefined;
  private kernelConfig: Readonly<Record<string, GlobalValue>> | undefined;

  constructor(sys: Sys) {
    this.sys = sys;
  }

  /** Mainline version, also where a distribution hides it behind its own: `"6.1.170"`. */
  get version(): string {
    return mainlineVersion();
  }

  /** `LINUX_VERSION_CODE`: major << 16 | minor << 8 | patch (at most 255). */
  get versionCode(): number {
    return versionCode(this.version);
  }

  /** True when the kernel has the feature (and these privileges may use it). Probed once. */
  has(feature: FeatureName): boolean {
    let known = this.features.get(feature);
    if (known === undefined) {
      known = probeFeature(this.sys, feature);
      this.features.set(feature, known);
    }
    return known;
  }

  /** The kernel's own types. Undefined when it was built without CONFIG_DEBUG_INFO_BTF. */
  get btf(): BtfIndex | undefined {
    if (this.vmlinuxBtf === undefined) {
      if (!existsSync(VMLINUX_BTF)) return undefined;
      const index = new BtfIndex(parseBtf(readFileSync(VMLINUX_BTF)));
      this.vmlinuxBtf = { index, name: "vmlinux", fd: undefined };
    }
    return this.vmlinuxBtf.index;
  }

  /** Types of the loaded modules, with open descriptors. */
  get modules(): readonly KernelBtf[] {
    this.moduleBtfs ??= this.readModules();
    return this.moduleBtfs;
  }

  /**
   * The first BTF that has the type: the kernel's, then each module's (only `module`'s with it).
   */
  findType(
    name: string,
    kind: "func" | "struct" | "typedef" | "var",
    module?: string,
  ): { readonly btf: KernelBtf; readonly id: number } | undefined {
    const own = this.btf;
    if (
      own !== undefined &&
      this.vmlinuxBtf !== undefined &&
      (module === undefined || module === "vmlinux")
    ) {
      const id = own.find(name, kind);
      if (id !== undefined) return { btf: this.vmlinuxBtf, id };
    }
    if (module === "vmlinux") return undefined;
    for (const btf of this.modules) {
      if (module !== undefined && btf.name !== module) continue;
      // Only the module's own types, without an index: there may be a hundred modules on top of the same base.
      const { types, baseCount } = btf.index.btf;
      const own = types.slice(baseCount).findIndex((type) => type.kind === kind && type.name === name);
      if (own >= 0) return { btf, id: baseCount + own };
    }
    return undefined;
  }

  /** Address of a kernel symbol (`/proc/kallsyms`); undefined when there is none, 0 when it is kept secret. */
  addressOf(symbol: string): bigint | undefined {
    this.symbols ??= readSymbols();
    return this.symbols.get(symbol);
  }

  /** All symbols of `/proc/kallsyms` with their addresses. */
  get kallsyms(): ReadonlyMap<string, bigint> {
    this.symbols ??= readSymbols();
    return this.symbols;
  }

  /** `CONFIG_*` values of the running kernel; empty where it does not tell. */
  get config(): Readonly<Record<string, GlobalValue>> {
    this.kernelConfig ??= readConfig();
    return this.kernelConfig;
  }

  /** True when system calls take their arguments in a `pt_regs` (`__x64_sys_…`): x86-64 and arm64 since 4.17. */
  get hasSyscallWrapper(): boolean {
    const prefix = this.sys.libc.arch === "x64" ? "__x64_sys_" : "__arm64_sys_";
    return this.addressOf(`${prefix}bpf`) !== undefined || this.kallsyms.size === 0;
  }

  private readModules(): KernelBtf[] {
    const base = this.btf?.btf;
    if (base === undefined || !existsSync("/sys/kernel/btf")) return [];
    const found: KernelBtf[] = [];
    const { sys } = this;
    for (let id = 0; ; ) {
      const next = sys.tryBpf("BPF_BTF_GET_NEXT_ID", { id });
      if (next.result < 0) return found;
      id = next.field("nextId");
      const opened = sys.tryBpf("BPF_BTF_GET_FD_BY_ID", { id });
      if (opened.result < 0) continue;
      const fd = sys.own(opened.result, `BTF ${id}`);
      const name = btfName(sys, fd);
      const path = `/sys/kernel/btf/${name}`;
      if (name === undefined || name === "vmlinux" || !existsSync(path)) {
        fd.close();
        continue;
      }
      found.push({ index: new BtfIndex(parseBtf(readFileSync(path), { base })), name, fd });
    }
  }
}

const VMLINUX_BTF = "/sys/kernel/btf/vmlinux";

/** The name of a kernel BTF object; undefined for those that programs brought. */
function btfName(sys: Sys, fd: Fd): string | undefined {
  const name = new Uint8Array(64);
  const info = new Uint8Array(32);
  const view = new DataView(info.buffer);
  view.setBigUint64(16, sys.libc.addressOf(name), true);
  view.setUint32(24, name.length, true);
  const { result } = sys.tryBpf("BPF_OBJ_GET_INFO_BY_FD", { bpfFd: fd, infoLen: info.length, info });
  if (result < 0 || view.getUint32(28, true) === 0) return undefined;
  return fixedText(new DataView(name.buffer), 0, name.length);
}

/** Ubuntu and Debian name their builds otherwise; they say elsewhere which mainline release it is. */
function mainlineVersion(): string {
  const plain = /^\d+\.\d+(\.\d+)?/.exec(release())?.[0] ?? "0.0";
  const signature = "/proc/version_signature";
  const ubuntu = existsSync(signature)
    ? /(\d+\.\d+\.\d+)\s*$/.exec(readFileSync(signature, "latin1").trim())
    : null;
  // uname's version, not /proc/version: that names Debian's compiler too.
  const debian = /Debian (\d+\.\d+\.\d+)/.exec(version());
  return (ubuntu ?? debian)?.[1] ?? plain;
}

function readSymbols(): Map<string, bigint> {
  const symbols = new Map<string, bigint>();
  if (!existsSync("/proc/kallsyms")) return symbols;
  for (const line of readFileSync("/proc/kallsyms", "latin1").split("\n")) {
    const match = /^([0-9a-f]+) . (\S+)/.exec(line);
    if (match !== null && !symbols.has(match[2])) symbols.set(match[2], BigInt(`0x${match[1]}`));
  }
  return symbols;
}

function readConfig(): Record<string, GlobalValue> {
  const name = `config-${release()}`;
  const path = ["/proc/config.gz", `/boot/${name}`, `/lib/modules/${release()}/config`].find(existsSync);
  if (path === undefined) return {};
  const bytes = readFileSync(path);
  const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("latin1");
  const config: Record<string, GlobalValue> = {};
  for (const [, key, value] of text.matchAll(/^(CONFIG_\w+)=(.*)$/gm)) config[key] = configValue(value);
  return config;
}

function configValue(text: string): GlobalValue {
  if (text.startsWith('"')) return text.slice(1, -1).replace(/\\(.)/g, "$1");
  if (/^-?(0x[0-9a-f]+|\d+)$/i.test(text))
    return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
  return text;
}

/** CPUs that can ever be there: per-CPU values have as many parts. @throws BpfError `linux/no-cpus`. */
export function possibleCpus(): number {
  const text = readFileSync("/sys/devices/system/cpu/possible", "latin1").trim();
  const last = /(\d+)$/.exec(text)?.[1];
  if (last === undefined) throw new BpfError("linux/no-cpus", `possible CPUs '${text}' cannot be read`);
  return Number(last) + 1;
}

/** CPUs that run now, by number. */
export function onlineCpus(): number[] {
  const text = readFileSync("/sys/devices/system/cpu/online", "latin1").trim();
  return text.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
