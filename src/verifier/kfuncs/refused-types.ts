import type { Btf } from "../../btf/index.ts";
import type { BtfRecord } from "../access/record.ts";
import { BTF_PROGRAM, type VerifierEnv } from "../env.ts";

/**
 * Name of a structure of the program's BTF for which the kernel refuses the whole BTF: a node of a list and of a tree that
 * is not counted, or a node that owns a list or tree of nodes that do too.
 * @see kernel/bpf/btf.c `btf_parse_struct_metas`, `btf_check_and_fixup_fields` @ v6.18
 */
export function refusedType(env: VerifierEnv, btf: Btf): string | undefined {
  for (const [id, type] of btf.types.entries()) {
    if (type.kind !== "struct") continue;
    const record = env.access.objectRecord(env, BTF_PROGRAM, id);
    if (record === undefined) continue;
    const twoHomes = has(record, "listNode") && has(record, "rbNode") && record.refcount < 0;
    if (twoHomes || ownsOwners(env, record)) return type.name;
  }
  return undefined;
}

function ownsOwners(env: VerifierEnv, record: BtfRecord): boolean {
  if (!has(record, "listNode") && !has(record, "rbNode")) return false;
  return record.fields.some((field) => {
    if (field.root === undefined) return false;
    const inner = env.access.objectRecord(env, BTF_PROGRAM, field.root.valueType);
    return inner !== undefined && (has(inner, "listHead") || has(inner, "rbRoot"));
  });
}

function has(record: BtfRecord, kind: BtfRecord["fields"][number]["kind"]): boolean {
  return record.fields.some((field) => field.kind === kind);
}
