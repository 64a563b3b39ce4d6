import type { Command } from "../command.ts";
import { asm } from "./asm.ts";
import { attach } from "./attach.ts";
import { btf } from "./btf.ts";
import { build } from "./build.ts";
import { detach } from "./detach.ts";
import { disasm } from "./disasm.ts";
import { exec } from "./exec.ts";
import { explain } from "./explain.ts";
import { features } from "./features.ts";
import { gen } from "./gen.ts";
import { inspect } from "./inspect.ts";
import { links } from "./links.ts";
import { load } from "./load.ts";
import { map } from "./map.ts";
import { maps } from "./maps.ts";
import { pin } from "./pin.ts";
import { ps } from "./ps.ts";
import { run } from "./run.ts";
import { unpin } from "./unpin.ts";
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
  load,
  attach,
  detach,
  ps,
  links,
  maps,
  map,
  pin,
  unpin,
  features,
];
