import { PROGRAM_TYPES, type ProgramTypeName } from "../../abi/index.ts";
import type { CollectionSpec, ProgramSpec } from "../../object/index.ts";
import { UsageError } from "../command.ts";

/**
 * The program to run: the one asked for, or the only one that is loaded by default.
 * @throws UsageError that lists the programs when the choice is not clear.
 */
export function chooseProgram(spec: CollectionSpec, object: string, name: string | undefined): ProgramSpec {
  const list = () => spec.programs.map((program) => `${program.name} (${program.section})`).join(", ");
  if (spec.programs.length === 0) throw new UsageError(`${object} holds no programs`);
  if (name !== undefined) {
    const found = spec.programs.find((program) => program.name === name);
    if (found === undefined) throw new UsageError(`${object} has no program '${name}'`, `it has: ${list()}`);
    return found;
  }
  const loaded = spec.programs.filter((program) => program.autoload);
  if (loaded.length !== 1) {
    throw new UsageError(
      `${object} has ${spec.programs.length} programs: say which to run`,
      `--prog NAME, one of: ${list()}`,
    );
  }
  return loaded[0];
}

/**
 * `xdp`, `sched_cls`, `socket_filter` … or the full BPF_PROG_TYPE_ name.
 * @throws UsageError for anything else.
 */
export function parseProgramType(text: string): ProgramTypeName {
  const bare = text.toUpperCase().replace(/^BPF_PROG_TYPE_/, "");
  const alias: Record<string, string> = { TC: "SCHED_CLS", CLASSIFIER: "SCHED_CLS", SOCKET: "SOCKET_FILTER" };
  const name = `BPF_PROG_TYPE_${alias[bare] ?? bare}`;
  if (!(name in PROGRAM_TYPES)) {
    const known = Object.keys(PROGRAM_TYPES).map((type) => shortType(type as ProgramTypeName));
    throw new UsageError(`'${text}' is no program type`, `one of: ${known.join(", ")}`);
  }
  return name as ProgramTypeName; // `in` above
}

/** `BPF_PROG_TYPE_XDP` → `xdp`. */
export function shortType(type: string): string {
  return type.replace(/^BPF_(PROG|MAP)_TYPE_/, "").toLowerCase();
}
