import { BpfError } from "../base/index.ts";
import type { BtfType } from "./types.ts";

/**
 * Deepest nesting accepted: of a type in types by value, or of pointers, arrays, qualifiers and functions in one
 * declaration. Real BTF stays below 32 (the kernel's MAX_RESOLVE_DEPTH); code that recurses over types relies on it.
 */
export const BTF_MAX_DEPTH = 256;

/**
 * Refuses types that contain themselves by value and declarations that never end (a pointer to itself).
 * Pointers from a struct back to the struct are fine. Time linear in the size of `types`.
 * @throws BpfError `btf/cycle`, `btf/too-deep`.
 */
export function checkNoLoops(types: readonly BtfType[], from: number): void {
  walk(types, from, byValue);
  walk(types, from, byDeclarator);
}

/** The `index`-th type that `type` holds, 0 at the end. */
type Edges = (types: readonly BtfType[], type: BtfType, index: number) => number;

/** What lies inside a type by value. */
function byValue(_types: readonly BtfType[], type: BtfType, index: number): number {
  switch (type.kind) {
    case "struct":
    case "union":
      return index < type.members.length ? type.members[index].type : END;
    case "array":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "type_tag":
    case "var":
      return index === 0 ? type.type : END;
    case "datasec":
      return index < type.vars.length ? type.vars[index].type : END;
    default:
      return END;
  }
}

/** What a C declarator spells out: everything but the inside of structs and unions. */
function byDeclarator(types: readonly BtfType[], type: BtfType, index: number): number {
  let next: number;
  switch (type.kind) {
    case "ptr":
    case "array":
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "type_tag":
    case "func":
    case "var":
    case "decl_tag":
      next = index === 0 ? type.type : END;
      break;
    case "func_proto":
      next = index === 0 ? type.type : index <= type.params.length ? type.params[index - 1].type : END;
      break;
    default:
      return END;
  }
  if (next === END) return END;
  const kind = types[next].kind;
  return kind === "struct" || kind === "union" ? 0 : next;
}

const END = -1;
const OPEN = 1;
const DONE = 2;

function walk(types: readonly BtfType[], from: number, edges: Edges): void {
  const state = new Uint8Array(types.length);
  state.fill(DONE, 0, Math.max(from, 1));
  // Longest chain below a finished type; the base's types were checked when it was read.
  const height = new Uint16Array(types.length);
  const stack: number[] = [];
  const next: number[] = [];
  for (let root = Math.max(from, 1); root < types.length; root++) {
    if (state[root] === DONE) continue;
    stack.push(root);
    next.push(0);
    state[root] = OPEN;
    while (stack.length > 0) {
      const top = stack.length - 1;
      const id = stack[top];
      const child = edges(types, types[id], next[top]++);
      if (child === END) {
        state[id] = DONE;
        stack.pop();
        next.pop();
        if (top > 0) height[stack[top - 1]] = Math.max(height[stack[top - 1]], height[id] + 1);
        continue;
      }
      if (state[child] === OPEN) {
        throw new BpfError(
          "btf/cycle",
          `[${child}] ${types[child].kind} ${types[child].name} contains itself`,
          {
            subject: `type ${child}`,
            hint: "break the loop with a pointer to a struct or union",
          },
        );
      }
      if (state[child] === DONE) height[id] = Math.max(height[id], height[child] + 1);
      if (stack.length + height[child] >= BTF_MAX_DEPTH) {
        throw new BpfError("btf/too-deep", `[${root}] types nest more than ${BTF_MAX_DEPTH} deep`, {
          subject: `type ${root}`,
        });
      }
      if (state[child] !== DONE) {
        state[child] = OPEN;
        stack.push(child);
        next.push(0);
      }
    }
  }
}
