// One algorithm: BTF as a C header. Same text as bpftool 7.5 (libbpf 1.5): order, names, padding, white space.
import { BpfError } from "../base/index.ts";
import { sortForC } from "./c-order.ts";
import { checkBtf } from "./parse.ts";
import { alignOf, BTF_POINTER_SIZE, type BtfTypeOf, trySizeOf, typeAt } from "./query.ts";
import type { Btf, BtfType } from "./types.ts";

export interface FormatBtfCOptions {
  /**
   * `"name"` (default): enums, then structs, then the rest, by name, as `bpftool btf dump … format c`; two kernels'
   * headers then compare well. `"id"`: as the types lie in the BTF (`… format c unsorted`).
   */
  readonly order?: "name" | "id";
}

/**
 * A C header with every type of `btf`: definitions in an order that compiles, forward declarations where needed,
 * explicit padding, `___2` after names that occur again. Compiled for 64 bits it has BTF's sizes and offsets.
 * @throws BpfError `btf/cycle` for types no C can express, `btf/too-deep`, `btf/too-big` for hostile ones.
 */
export function formatBtfC(btf: Btf, options: FormatBtfCOptions = {}): string {
  checkBtf(btf.types);
  const printer = new CPrinter(btf);
  const order = options.order === "id" ? undefined : sortForC(btf);
  // bpftool starts at the second one, and so may never print the first: it comes last here.
  const ids = order === undefined ? btf.types.keys() : [...order.slice(1), ...order.slice(0, 1)];
  for (const id of ids) printer.dump(id);
  return `${HEAD}${printer.text}${kfuncs(btf, printer)}${TAIL}`;
}

/**
 * The type as C writes it in a declaration of `name`, named types by name only: `"struct s *(*name)[4]"`.
 * @throws BpfError `btf/bad-type-id`, `btf/too-deep`, `btf/too-big`.
 */
export function formatDeclaration(btf: Btf, id: number, name = ""): string {
  const printer = new CPrinter(btf);
  printer.declare(id, name, 0);
  return printer.text;
}

const HEAD = `#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#ifndef __weak
#define __weak __attribute__((weak))
#endif

`;

const TAIL = `#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */
`;

/** Prototypes of the functions tagged as kfuncs. */
function kfuncs(btf: Btf, printer: CPrinter): string {
  printer.text = "\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n";
  for (const type of btf.types) {
    if (type.kind !== "decl_tag" || type.componentIndex !== -1 || type.name !== "bpf_kfunc") continue;
    const func = typeAt(btf, type.type);
    if (func.kind !== "func") continue;
    printer.text += "extern ";
    printer.declare(func.type, func.name, 0);
    printer.text += " __weak __ksym;\n";
  }
  return `${printer.text}#endif\n\n`;
}

/** Names compilers have built in for ARM vectors, that others have not. */
const MISSING_BASE_TYPES: Readonly<Record<string, string>> = {
  __Poly8_t: "unsigned char",
  __Poly16_t: "unsigned short",
  __Poly64_t: "unsigned long long",
  __Poly128_t: "unsigned __int128",
};

/** Padding is made of these, widest first. */
const PADS = [
  { name: "long", bits: BTF_POINTER_SIZE * 8 },
  { name: "int", bits: 32 },
  { name: "short", bits: 16 },
  { name: "char", bits: 8 },
] as const;

const NOT_YET = 0;
const UNDER_WAY = 1;
const DONE = 2;

/** Nested calls; C programs stay below 100. */
const MAX_DEPTH = 1000;
/** Visits of types; this kernel's header takes about 2 million. */
const MAX_VISITS = 100_000_000;
/** Characters; this kernel's header has 3.5 million. */
const MAX_TEXT = 1 << 25;
/** Widest hole in a struct that is filled with padding members, in bits. */
const MAX_HOLE = 1 << 24;

class CPrinter {
  text = "";
  private readonly btf: Btf;
  private readonly ordered: Uint8Array;
  private readonly emitted: Uint8Array;
  /** Structs and unions: `struct s;` was printed. Typedefs: the typedef itself was. */
  private readonly forwarded: Uint8Array;
  private readonly referenced: Uint8Array;
  private readonly names = new Map<number, string>();
  /** How often a tag, and how often a typedef or enumerator, was named so far: C has two name spaces. */
  private readonly tags = new Map<string, number>();
  private readonly idents = new Map<string, number>();
  private readonly aligns = new Map<number, number>();
  private queue: number[] = [];
  private depth = 0;
  private visits = 0;

  constructor(btf: Btf) {
    this.btf = btf;
    const count = btf.types.length;
    this.ordered = new Uint8Array(count);
    this.emitted = new Uint8Array(count);
    this.forwarded = new Uint8Array(count);
    this.referenced = new Uint8Array(count);
    this.ordered[0] = DONE;
    this.emitted[0] = DONE;
    for (const type of btf.types) this.markReferences(type);
  }

  /** Prints the type, what it needs first, unless it was printed before. */
  dump(id: number): void {
    this.queue = [];
    this.order(id, false);
    for (const next of this.queue) this.emit(next, 0);
  }

  /** Prints a declaration of `name`. */
  declare(start: number, name: string, level: number): void {
    const chain: number[] = [];
    for (let id = start; ; ) {
      const type = typeAt(this.btf, id);
      chain.push(id);
      this.visit();
      if (!("type" in type) || type.kind === "typedef" || !CHAINED.has(type.kind)) break;
      if (chain.length > MAX_DEPTH) throw tooDeep(start);
      id = type.type;
    }
    this.nested(start, () => this.chain(chain, name, level));
  }

  private markReferences(type: BtfType): void {
    const mark = (id: number): void => {
      this.referenced[id] = 1;
    };
    switch (type.kind) {
      case "struct":
      case "union":
        for (const member of type.members) mark(member.type);
        break;
      case "func_proto":
        // The return type does not count: an enum declared there is printed on its own.
        for (const param of type.params) mark(param.type);
        break;
      case "datasec":
        for (const entry of type.vars) mark(entry.type);
        break;
      case "array":
        mark(type.indexType);
        mark(type.type);
        break;
      default:
        if ("type" in type) mark(type.type);
    }
  }

  private visit(): void {
    this.visits++;
    if (this.visits > MAX_VISITS || this.text.length > MAX_TEXT) {
      throw tooBig();
    }
  }

  private nested<T>(id: number, run: () => T): T {
    this.visit();
    if (++this.depth > MAX_DEPTH) throw tooDeep(id);
    const result = run();
    this.depth--;
    return result;
  }

  /**
   * Queues what must be defined before `id`, and `id`. True: whoever uses the type needs its definition first;
   * false: a forward declaration (or nothing) will do. A pointer makes a link weak as soon as a named type follows;
   * a pointer to an anonymous struct does not, since the struct is spelled out in place.
   */
  private order(id: number, throughPointer: boolean): boolean {
    return this.nested(id, () => this.orderType(id, throughPointer));
  }

  private orderType(id: number, throughPointer: boolean): boolean {
    if (this.ordered[id] === DONE) return true;
    const type = typeAt(this.btf, id);
    if (this.ordered[id] === UNDER_WAY) {
      const isTagged = (type.kind === "struct" || type.kind === "union") && type.name !== "";
      if (isTagged && throughPointer) return false;
      throw new BpfError("btf/cycle", `[${id}] ${type.kind} ${type.name} needs itself defined first`, {
        subject: `type ${id}`,
        hint: "C cannot express this type",
      });
    }
    switch (type.kind) {
      case "int":
      case "float":
        this.ordered[id] = DONE;
        return false;
      case "ptr": {
        const strong = this.order(type.type, true);
        this.ordered[id] = DONE;
        return strong;
      }
      case "array":
        return this.order(type.type, false);
      case "struct":
      case "union":
        if (throughPointer && type.name !== "") return false;
        this.ordered[id] = UNDER_WAY;
        for (const member of type.members) this.order(member.type, false);
        if (type.name !== "") this.queue.push(id);
        this.ordered[id] = DONE;
        return true;
      case "enum":
      case "enum64":
      case "fwd":
        // An anonymous enum that something refers to is printed there.
        if (type.name !== "" || this.referenced[id] === 0) this.queue.push(id);
        this.ordered[id] = DONE;
        return true;
      case "typedef":
        if (!this.order(type.type, throughPointer) && throughPointer) return false;
        this.queue.push(id);
        this.ordered[id] = DONE;
        return true;
      case "volatile":
      case "const":
      case "restrict":
      case "type_tag":
        return this.order(type.type, throughPointer);
      case "func_proto": {
        let strong = this.order(type.type, throughPointer);
        for (const param of type.params) if (this.order(param.type, throughPointer)) strong = true;
        return strong;
      }
      default:
        this.ordered[id] = DONE;
        return false;
    }
  }

  /** Prints what is missing before `id` can be used inside `container` (0: `id` itself is to be defined). */
  private emit(id: number, container: number): void {
    this.nested(id, () => this.emitType(id, container));
  }

  private emitType(id: number, container: number): void {
    if (this.emitted[id] === DONE) return;
    const type = typeAt(this.btf, id);
    if (this.emitted[id] === UNDER_WAY) {
      this.emitForward(id, type, container);
      return;
    }
    const isTop = container === 0;
    switch (type.kind) {
      case "int": {
        const name = this.tagName(id, type);
        if (Object.hasOwn(MISSING_BASE_TYPES, name))
          this.text += `typedef ${MISSING_BASE_TYPES[name]} ${name};\n\n`;
        this.emitted[id] = DONE;
        return;
      }
      case "enum":
      case "enum64":
        if (isTop) {
          this.enumeration(id, type, 0);
          this.text += ";\n\n";
        }
        this.emitted[id] = DONE;
        return;
      case "ptr":
      case "volatile":
      case "const":
      case "restrict":
      case "type_tag":
      case "array":
        this.emit(type.type, container);
        return;
      case "fwd":
        this.forwardName(id, type);
        this.text += ";\n\n";
        this.emitted[id] = DONE;
        return;
      case "typedef":
        this.emitted[id] = UNDER_WAY;
        this.emit(type.type, id);
        if (this.forwarded[id] === 0) this.typedef(id, type);
        this.emitted[id] = DONE;
        return;
      case "struct":
      case "union":
        this.emitted[id] = UNDER_WAY;
        if (isTop || type.name === "") {
          // All members will be spelled out, so all their types must be known.
          const inside = type.name === "" ? container : id;
          for (const member of type.members) this.emit(member.type, inside);
        } else if (this.forwarded[id] === 0 && id !== container) {
          this.tag(id, type);
          this.text += ";\n\n";
          this.forwarded[id] = 1;
        }
        if (isTop) {
          this.definition(id, type, 0);
          this.text += ";\n\n";
        }
        this.emitted[id] = isTop ? DONE : NOT_YET;
        return;
      case "func_proto":
        this.emit(type.type, container);
        for (const param of type.params) this.emit(param.type, container);
        return;
      default:
        return;
    }
  }

  /** `id` is being defined further up, and used by something on the way. */
  private emitForward(id: number, type: BtfType, container: number): void {
    if (this.forwarded[id] === 1) return;
    if (type.kind === "struct" || type.kind === "union") {
      if (id === container || type.name === "") return;
      this.tag(id, type);
      this.text += ";\n\n";
      this.forwarded[id] = 1;
    } else if (type.kind === "typedef") {
      this.typedef(id, type);
      this.forwarded[id] = 1;
    }
  }

  private typedef(id: number, type: BtfTypeOf<"typedef">): void {
    // The compiler has this one built in.
    if (type.name === "__builtin_va_list") return;
    const name = this.identName(id, type);
    // GCC describes this one as void.
    if (type.type === 0 && name === "__gnuc_va_list") this.text += "typedef __builtin_va_list __gnuc_va_list";
    else {
      this.text += "typedef ";
      this.declare(type.type, name, 0);
    }
    this.text += ";\n\n";
  }

  private tag(id: number, type: BtfTypeOf<"struct" | "union">): void {
    const name = this.tagName(id, type);
    this.text += name === "" ? type.kind : `${type.kind} ${name}`;
  }

  private forwardName(id: number, type: BtfTypeOf<"fwd">): void {
    this.text += `${type.union ? "union" : "struct"} ${this.tagName(id, type)}`;
  }

  private definition(id: number, type: BtfTypeOf<"struct" | "union">, level: number): void {
    const isStruct = type.kind === "struct";
    const packed = isStruct && this.isPacked(type);
    this.tag(id, type);
    this.text += " {";
    let end = 0;
    let afterBitField = false;
    for (const member of type.members) {
      const { bitSize, bitOffset } = member;
      const align = packed ? 1 : this.align(member.type);
      this.padding(end, bitOffset, align, afterBitField && bitSize > 0, level + 1);
      this.text += `\n${tabs(level + 1)}`;
      this.declare(member.type, member.name, level + 1);
      if (bitSize > 0) this.text += `: ${bitSize}`;
      this.text += ";";
      end = bitOffset + (bitSize > 0 ? bitSize : (trySizeOf(this.btf, member.type) ?? 0) * 8);
      afterBitField = bitSize > 0;
    }
    if (isStruct) this.padding(end, type.size * 8, this.align(id), false, level + 1);
    // An empty struct stays on its line.
    this.text += type.members.length > 0 || type.size > 0 ? `\n${tabs(level)}}` : "}";
    if (packed) this.text += " __attribute__((packed))";
  }

  private align(id: number): number {
    return alignOf(this.btf, id, this.aligns);
  }

  private isPacked(type: BtfTypeOf<"struct" | "union">): boolean {
    let max = 1;
    for (const { type: id, bitSize, bitOffset } of type.members) {
      const align = this.align(id);
      if (align > 0 && bitSize === 0 && bitOffset % (8 * align) !== 0) return true;
      max = Math.max(max, align);
    }
    return type.size % max !== 0;
  }

  /** Fills the bits from `from` to `to` with unnamed bit-fields, as far as the compiler would not by itself. */
  private padding(from: number, to: number, nextAlign: number, inBitField: boolean, level: number): void {
    if (from >= to) return;
    if (to - from > MAX_HOLE) throw tooBig();
    let at = from;
    const field = (name: string, bits: number): void => {
      this.text += `\n${tabs(level)}${name}: ${bits};`;
    };
    // The widest pad whose next natural border still lies within the gap.
    const pad = PADS.find(({ bits }) => roundUp(from, bits) <= to) ?? PADS[PADS.length - 1];
    const border = roundUp(from, pad.bits);
    if (border > from && border <= to) {
      // `long: 0` moves to the border. Not needed where the next member or pad does so by its own alignment.
      const nextMoves = roundUp(from, nextAlign * 8) === border;
      const padFitsBefore = to - border <= border - from;
      if (inBitField) field(pad.name, border - from);
      else if ((border === to && !nextMoves) || (border !== to && padFitsBefore)) field(pad.name, 0);
      at = border;
    }
    for (; to - at >= pad.bits; at += pad.bits) {
      this.visit();
      field(pad.name, pad.bits);
    }
    if (at >= to) return;
    const rest = PADS.findLast(({ bits }) => bits >= to - at) ?? pad;
    field(rest.name, to - at);
  }

  private enumeration(id: number, type: BtfTypeOf<"enum" | "enum64">, level: number): void {
    const name = this.tagName(id, type);
    this.text += name === "" ? "enum" : `enum ${name}`;
    if (type.values.length === 0) return;
    this.text += " {";
    const suffix = type.kind === "enum" ? "" : type.signed ? "LL" : "ULL";
    for (const { name: valueName, value } of type.values) {
      const unique = numbered(valueName, count(this.idents, valueName));
      this.text += `\n${tabs(level + 1)}${unique} = ${value}${suffix},`;
    }
    this.text += `\n${tabs(level)}}`;
    if (type.size === 1) this.text += " __attribute__((mode(byte)))";
    else if (type.size === 8 && !needs64Bits(type)) this.text += " __attribute__((mode(word)))";
  }

  /** Prints `ids`, outermost declarator first, from the innermost type on. Takes what it prints off `ids`. */
  private chain(ids: number[], name: string, level: number): void {
    let afterPointer = true;
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      const type = typeAt(this.btf, id);
      switch (type.kind) {
        case "void":
          this.modifiers(ids);
          this.text += "void";
          break;
        case "int":
        case "float":
          this.modifiers(ids);
          this.text += type.name;
          break;
        case "struct":
        case "union":
          this.modifiers(ids);
          if (type.name === "") this.definition(id, type, level);
          else this.tag(id, type);
          break;
        case "enum":
        case "enum64":
          this.modifiers(ids);
          if (type.name === "") this.enumeration(id, type, level);
          else this.text += `enum ${this.tagName(id, type)}`;
          break;
        case "fwd":
          this.modifiers(ids);
          this.forwardName(id, type);
          break;
        case "typedef":
          this.modifiers(ids);
          this.text += this.identName(id, type);
          break;
        case "ptr":
          this.text += afterPointer ? "*" : " *";
          break;
        case "volatile":
        case "const":
        case "restrict":
          this.text += ` ${type.kind}`;
          break;
        case "type_tag":
          this.modifiers(ids);
          this.text += type.kindFlag
            ? ` __attribute__((${type.name}))`
            : ` __attribute__((btf_type_tag("${type.name}")))`;
          break;
        case "array":
          this.arrayOf(type, ids, name, level, afterPointer);
          return;
        case "func_proto":
          this.prototype(type, ids, name, level, afterPointer);
          return;
        default:
          return;
      }
      afterPointer = type.kind === "ptr";
    }
    this.declared(name, afterPointer);
  }

  private arrayOf(
    type: BtfTypeOf<"array">,
    ids: number[],
    name: string,
    level: number,
    afterPointer: boolean,
  ): void {
    // GCC puts an element's qualifiers on the array as well.
    this.dropModifiers(ids);
    const outer = ids.at(-1);
    if (outer === undefined) this.declared(name, afterPointer);
    else {
      const isArray = typeAt(this.btf, outer).kind === "array";
      if (name !== "" && !afterPointer) this.text += " ";
      if (!isArray) this.text += "(";
      this.nested(outer, () => this.chain(ids, name, level));
      if (!isArray) this.text += ")";
    }
    this.text += `[${type.length}]`;
  }

  private prototype(
    type: BtfTypeOf<"func_proto">,
    ids: number[],
    name: string,
    level: number,
    afterPointer: boolean,
  ): void {
    // GCC marks functions that do not return as volatile.
    this.dropModifiers(ids);
    const outer = ids.at(-1);
    if (outer === undefined) this.declared(name, afterPointer);
    else {
      this.text += " (";
      this.nested(outer, () => this.chain(ids, name, level));
      this.text += ")";
    }
    const { params } = type;
    if (params.length === 0 || (params.length === 1 && params[0].type === 0)) {
      this.text += "(void)";
      return;
    }
    this.text += "(";
    params.forEach((param, i) => {
      if (i > 0) this.text += ", ";
      if (i === params.length - 1 && param.type === 0) this.text += "...";
      else this.declare(param.type, param.name, level);
    });
    this.text += ")";
  }

  private declared(name: string, afterPointer: boolean): void {
    this.text += name !== "" && !afterPointer ? ` ${name}` : name;
  }

  private modifiers(ids: number[]): void {
    for (let id = ids.at(-1); id !== undefined; id = ids.at(-1)) {
      const { kind } = typeAt(this.btf, id);
      if (kind !== "volatile" && kind !== "const" && kind !== "restrict") return;
      this.text += `${kind} `;
      ids.pop();
    }
  }

  private dropModifiers(ids: number[]): void {
    for (let id = ids.at(-1); id !== undefined; id = ids.at(-1)) {
      const { kind } = typeAt(this.btf, id);
      if (kind !== "volatile" && kind !== "const" && kind !== "restrict" && kind !== "type_tag") return;
      ids.pop();
    }
  }

  private tagName(id: number, type: BtfType): string {
    return this.uniqueName(id, type, this.tags);
  }

  private identName(id: number, type: BtfType): string {
    return this.uniqueName(id, type, this.idents);
  }

  private uniqueName(id: number, type: BtfType, seen: Map<string, number>): string {
    if (type.name === "") return "";
    const known = this.names.get(id);
    if (known !== undefined) return known;
    // Mere declarations may be repeated.
    const mayRepeat = type.kind === "fwd" || (type.kind === "enum" && type.values.length === 0);
    const name = mayRepeat ? type.name : numbered(type.name, count(seen, type.name));
    this.names.set(id, name);
    return name;
  }
}

/** Kinds a declarator goes on behind. */
const CHAINED: ReadonlySet<string> = new Set([
  "ptr",
  "volatile",
  "const",
  "restrict",
  "type_tag",
  "func_proto",
  "array",
]);

function tooBig(): BpfError {
  return new BpfError("btf/too-big", "the types unfold to an endless header", {
    hint: "anonymous types are written out wherever they are used, holes are filled; this BTF looks made to be slow",
  });
}

function tooDeep(id: number): BpfError {
  return new BpfError("btf/too-deep", `[${id}] types nest more than ${MAX_DEPTH} deep`, {
    subject: `type ${id}`,
  });
}

function needs64Bits(type: BtfTypeOf<"enum" | "enum64">): boolean {
  return type.kind === "enum64" && type.values.some(({ value }) => value >> 32n !== 0n);
}

function count(seen: Map<string, number>, name: string): number {
  const times = (seen.get(name) ?? 0) + 1;
  seen.set(name, times);
  return times;
}

function numbered(name: string, times: number): string {
  return times > 1 ? `${name}___${times}` : name;
}

function roundUp(value: number, step: number): number {
  return step === 0 ? value : Math.ceil(value / step) * step;
}

function tabs(level: number): string {
  // bpftool has no more.
  return "\t".repeat(Math.min(level, 13));
}
