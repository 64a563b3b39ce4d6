import { BpfError } from "../../base/index.ts";
import { LinuxProgram } from "../program.ts";
import { type Attacher, createLink } from "./attacher.ts";

/** In the place of a function of a loaded program (Linux 5.10 for another one than it was loaded for). */
export const freplace: Attacher<"freplace"> = {
  attach(context, program, target) {
    const { program: other, function: name, cookie } = target;
    const id = other instanceof LinuxProgram && other.spec.funcs.find((func) => func.name === name)?.btfId;
    if (!(other instanceof LinuxProgram) || !id) {
      throw new BpfError(
        "linux/no-target",
        `program '${other.name}' of this kernel has no function '${name}' with BTF`,
        {
          subject: program.name,
          hint: "the target must be loaded by the same kernel object, and compiled with -g",
        },
      );
    }
    return createLink(
      context,
      program,
      { kind: "freplace", target: `function ${name} of '${other.name}'` },
      {
        target: other.handle,
        targetBtfId: id,
        tracingCookie: cookie === undefined ? undefined : BigInt(cookie),
      },
    );
  },
};
