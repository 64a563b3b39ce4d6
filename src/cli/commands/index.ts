import type { Command } from "../command.ts";
import { asm } from "./asm.ts";
import { btf } from "./btf.ts";
import { build } from "./build.ts";
import { disasm } from "./disasm.ts";
import { exec } from "./exec.ts";
import { explain } from "./explain.ts";
import { gen } from "./gen.ts";
import { inspect } from "./inspect.ts";
import { run } from "./run.ts";
import { verify } from "./verify.ts";

/** Every command, in the order of the help text. `completion` comes from the completion library. */
export const COMMANDS: readonly Command[] = [
  run,
  build,
  verify,
  explain,
  inspect,
  disasm,
  asm,
  exec,
  btf,
  gen,
];
