import type { AttachTypeName, ProgramTypeName } from "../../abi/index.ts";
import type { VerifierEnv } from "../env.ts";

/** The program's type; for a program that replaces another's function: that one's. `resolve_prog_type` */
export function programTypeOf(env: VerifierEnv): ProgramTypeName {
  const { type, target } = env.program;
  if (type !== "BPF_PROG_TYPE_EXT") return type;
  return target?.type ?? env.unsupported("freplace without its target");
}

/** … and its attach type. */
export function attachTypeOf(env: VerifierEnv): AttachTypeName | undefined {
  const { type, target, attachType } = env.program;
  return type === "BPF_PROG_TYPE_EXT" && target !== undefined ? target.attachType : attachType;
}
