import { BpfError } from "../base/index.ts";
import { type Btf, codecFor } from "../btf/index.ts";
import { kconfigKind } from "./externs.ts";
import type { GlobalValue } from "./kernel.ts";
import type { CollectionSpec, MapSpec, VariableSpec } from "./spec.ts";

/**
 * The spec with other initial values of global variables (`.data*`, `.rodata*`, `.bss*`, arena globals). Values are
 * JavaScript forms of the variable's type, as `codecFor` takes them; `Uint8Array` sets the bytes themselves. A boolean
 * also sets an integer.
 * @throws BpfError `object/no-such-global` with the names there are, `object/bad-global`.
 */
export function setGlobals(
  spec: CollectionSpec,
  values: Readonly<Record<string, GlobalValue>>,
): CollectionSpec {
  const changed = new Map<MapSpec, Uint8Array>();
  for (const [name, value] of Object.entries(values)) {
    const { map, variable } = findGlobal(spec, name);
    const data = changed.get(map) ?? map.data!.slice();
    changed.set(map, data);
    data.set(encode(spec, variable, value), variable.offset);
  }
  return withData(spec, changed);
}

/** The variable's initial value; undefined when the object has no type for it. @throws as {@link setGlobals}. */
export function globalBytes(spec: CollectionSpec, name: string): Uint8Array {
  const { map, variable } = findGlobal(spec, name);
  return map.data!.slice(variable.offset, variable.offset + variable.size);
}

/** What the running kernel is, for externs that libbpf itself fills. */
export interface KconfigFacts {
  /** `LINUX_KERNEL_VERSION`: major << 16 | minor << 8 | patch (at most 255). */
  readonly kernelVersion: number;
  /** `LINUX_HAS_BPF_COOKIE`; default: from kernel version 5.15 on. */
  readonly hasBpfCookie?: boolean;
  /** `LINUX_HAS_SYSCALL_WRAPPER`; default true (x86-64, arm64 and s390x since 4.17). */
  readonly hasSyscallWrapper?: boolean;
  /**
   * `CONFIG_*` values: `"y"`, `"n"`, `"m"`, numbers, text; also booleans for y and n. Names are whole:
   * `{ CONFIG_HZ: 250 }`.
   */
  readonly config?: Readonly<Record<string, GlobalValue>>;
}

/**
 * The spec with its `.kconfig` map filled. A weak extern nobody knows stays 0.
 * @throws BpfError `object/kconfig-missing` for a strong one, `object/bad-kconfig` for a value that does not fit.
 */
export function setKconfig(spec: CollectionSpec, facts: KconfigFacts): CollectionSpec {
  const map = spec.maps.find((candidate) => candidate.section === ".kconfig");
  if (map?.data === undefined || spec.btf === undefined) return spec;
  const data = map.data.slice();
  for (const extern of spec.externs) {
    if (extern.kind !== "kconfig" || extern.offset === undefined || extern.size === undefined) continue;
    const value = kconfigValue(extern.name, facts);
    if (value === undefined) {
      if (extern.weak) continue;
      throw new BpfError("object/kconfig-missing", `extern (kcfg) '${extern.name}': value not found`, {
        subject: extern.name,
        hint: "give its value, or declare it __weak",
      });
    }
    const bytes = kconfigBytes(spec.btf, extern.name, extern.btfId, extern.size, value, spec.byteOrder);
    data.set(bytes, extern.offset);
  }
  return withData(spec, new Map([[map, data]]));
}

function findGlobal(spec: CollectionSpec, name: string): { map: MapSpec; variable: VariableSpec } {
  const known: string[] = [];
  for (const map of spec.maps) {
    if (map.data === undefined || map.section === ".kconfig") continue;
    for (const variable of map.variables) {
      if (variable.name === name) return { map, variable };
      known.push(variable.name);
    }
  }
  const some = known.slice(0, 20).join(", ");
  throw new BpfError("object/no-such-global", `no global variable '${name}'`, {
    subject: name,
    hint: known.length === 0 ? "the object has none; was it compiled with -g?" : `there are: ${some}`,
  });
}

function encode(spec: CollectionSpec, variable: VariableSpec, value: GlobalValue): Uint8Array {
  const fail = (message: string, hint: string, cause?: unknown): BpfError =>
    new BpfError("object/bad-global", `global '${variable.name}': ${message}`, {
      subject: variable.name,
      hint,
      ...(cause === undefined ? {} : { cause }),
    });
  if (value instanceof Uint8Array) {
    if (value.length === variable.size) return value;
    throw fail(
      `it has ${variable.size} bytes, not ${value.length}`,
      "give as many bytes as the variable has",
    );
  }
  if (spec.btf === undefined || variable.type === 0) {
    if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "boolean") {
      throw fail("its type is not known", "compile with -g, or give a number or bytes");
    }
    return integerBytes(BigInt(value), variable.size, spec.byteOrder);
  }
  try {
    return codecFor(spec.btf, variable.type, { byteOrder: spec.byteOrder }).encode(value);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    if (typeof value === "boolean") return integerBytes(value ? 1n : 0n, variable.size, spec.byteOrder);
    throw fail(error.message, error.hint ?? "give a value of the variable's type", error);
  }
}

function kconfigValue(name: string, facts: KconfigFacts): GlobalValue | undefined {
  switch (name) {
    case "LINUX_KERNEL_VERSION":
      return facts.kernelVersion;
    case "LINUX_HAS_BPF_COOKIE":
      return facts.hasBpfCookie ?? facts.kernelVersion >= (5 << 16) + (15 << 8);
    case "LINUX_HAS_SYSCALL_WRAPPER":
      return facts.hasSyscallWrapper ?? true;
    default:
      return Object.hasOwn(facts.config ?? {}, name) ? facts.config![name] : undefined;
  }
}

/** One value as libbpf writes it: y, n and m to bool, tristate and char; text cut to its array; numbers in range. */
function kconfigBytes(
  btf: Btf,
  name: string,
  type: number,
  size: number,
  value: GlobalValue,
  byteOrder: "little" | "big",
): Uint8Array {
  const kind = kconfigKind(btf, type);
  const fail = (why: string): BpfError =>
    new BpfError("object/bad-kconfig", `extern (kcfg) '${name}': value '${String(value)}' ${why}`, {
      subject: name,
    });
  if (value === "y" || value === "n" || value === "m" || typeof value === "boolean") {
    const letter = typeof value === "boolean" ? (value ? "y" : "n") : value;
    switch (kind) {
      case "bool":
        if (letter === "m") throw fail("implies tristate or char type");
        return integerBytes(letter === "y" ? 1n : 0n, size, byteOrder);
      case "tristate":
        return integerBytes(BigInt(["n", "y", "m"].indexOf(letter)), size, byteOrder);
      case "char":
        return integerBytes(BigInt(letter.charCodeAt(0)), size, byteOrder);
      case "int":
        if (typeof value === "boolean") return integerBytes(value ? 1n : 0n, size, byteOrder);
        throw fail("implies bool, tristate, or char type");
      default:
        throw fail("implies bool, tristate, or char type");
    }
  }
  if (typeof value === "string") {
    if (kind !== "text") throw fail("implies char array type");
    const out = new Uint8Array(size);
    out.set(new TextEncoder().encode(value).subarray(0, size - 1));
    return out;
  }
  if (typeof value !== "number" && typeof value !== "bigint") throw fail("is neither number nor text");
  if (kind !== "int" && kind !== "char" && kind !== "bool")
    throw fail("implies integer, char, or boolean type");
  if (typeof value === "number" && !Number.isInteger(value)) throw fail("is no integer");
  const number = BigInt(value);
  if (kind === "bool" && number !== 0n && number !== 1n) throw fail("isn't boolean compatible");
  const bits = BigInt(8 * size);
  if (number >= 1n << bits || number < -(1n << (bits - 1n))) throw fail(`doesn't fit in ${size} bytes`);
  return integerBytes(number, size, byteOrder);
}

/** `value` in `size` bytes, two's complement. */
export function integerBytes(value: bigint, size: number, byteOrder: "little" | "big"): Uint8Array {
  const out = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    out[byteOrder === "little" ? i : size - 1 - i] = Number(BigInt.asUintN(8, value >> BigInt(8 * i)));
  }
  return out;
}

function withData(spec: CollectionSpec, changed: ReadonlyMap<MapSpec, Uint8Array>): CollectionSpec {
  const maps = spec.maps.map((map) => {
    const data = changed.get(map);
    return data === undefined ? map : { ...map, data };
  });
  return { ...spec, maps };
}
