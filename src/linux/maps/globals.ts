import { BpfError } from "../../base/index.ts";
import { type BtfCodec, codecFor } from "../../btf/index.ts";
import {
  type GlobalValue,
  type GlobalVariable,
  integerBytes,
  type VariableSpec,
} from "../../object/index.ts";
import type { LinuxMap } from "./linux-map.ts";

/** A global variable in the kernel's memory. */
export class LinuxGlobal implements GlobalVariable {
  readonly name: string;
  readonly size: number;
  readonly map: LinuxMap;
  private readonly variable: VariableSpec;
  private known: BtfCodec | undefined;

  constructor(map: LinuxMap, variable: VariableSpec) {
    this.map = map;
    this.variable = variable;
    this.name = variable.name;
    this.size = variable.size;
  }

  get writable(): boolean {
    return !this.map.spec.frozen;
  }

  get bytes(): Uint8Array {
    return this.map.memory().subarray(this.variable.offset, this.variable.offset + this.size);
  }

  get(): GlobalValue {
    const { codec } = this;
    return codec === undefined ? this.bytes.slice() : codec.decode(this.bytes);
  }

  set(value: GlobalValue): void {
    if (!this.writable) {
      throw new BpfError("linux/frozen", `global '${this.name}' is constant once its program is loaded`, {
        errno: "EPERM",
        subject: this.name,
        hint: `set it before: load(spec, { globals: { ${this.name}: … } })`,
      });
    }
    this.bytes.set(this.encode(value));
  }

  private encode(value: GlobalValue): Uint8Array {
    const { codec } = this;
    if (value instanceof Uint8Array && value.length === this.size) return value;
    if (codec !== undefined) return codec.encode(typeof value === "boolean" ? Number(value) : value);
    if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
      return integerBytes(BigInt(value), this.size, "little");
    }
    throw new BpfError("linux/invalid", `global '${this.name}' has no type: give a number or its bytes`, {
      subject: this.name,
    });
  }

  private get codec(): BtfCodec | undefined {
    if (this.map.btf === undefined || this.variable.type === 0) return undefined;
    this.known ??= codecFor(this.map.btf, this.variable.type);
    return this.known;
  }
}

/** Every variable of the maps of globals, by name. */
export function globalsOf(maps: Iterable<LinuxMap>): ReadonlyMap<string, LinuxGlobal> {
  const globals = new Map<string, LinuxGlobal>();
  for (const map of maps) {
    if (map.spec.data === undefined || map.type !== "BPF_MAP_TYPE_ARRAY") continue;
    for (const variable of map.spec.variables) globals.set(variable.name, new LinuxGlobal(map, variable));
  }
  return globals;
}
