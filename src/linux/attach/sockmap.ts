import { ATTACH_TYPES } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import { LinuxMap } from "../maps/linux-map.ts";
import { versionCode } from "../version.ts";
import { type Attacher, createLink } from "./attacher.ts";
import { UndoLink } from "./link.ts";

/** Parser and verdict programs of a sockmap or sockhash: by a bpf link (Linux 6.10), without before. */
export const sockmap: Attacher<"sockmap"> = {
  attach(context, program, target) {
    const { sys, facts } = context;
    const { map, attachType: name = program.attachType } = target;
    if (!(map instanceof LinuxMap)) {
      throw new BpfError("linux/invalid", `map '${map.name}' belongs to another kernel`, {
        subject: map.name,
      });
    }
    if (name === undefined) {
      throw new BpfError("linux/no-attach-type", `program '${program.name}' does not say what it does`, {
        subject: program.name,
        hint: 'attachType: "BPF_SK_SKB_STREAM_PARSER", "BPF_SK_SKB_STREAM_VERDICT", "BPF_SK_SKB_VERDICT" or "BPF_SK_MSG_VERDICT"',
      });
    }
    const where = { kind: "sockmap", target: `map ${map.name}`, attachType: name } as const;
    if (facts.versionCode >= versionCode("6.10")) {
      return createLink(context, program, where, { target: map.handle });
    }
    const attachType = ATTACH_TYPES[name];
    const held = { program: sys.duplicate(program.handle), map: sys.duplicate(map.handle) };
    const input = { target: held.map, attachBpfFd: held.program, attachType };
    const release = (): void => {
      held.program.close();
      held.map.close();
    };
    try {
      const doing = `attaching '${program.name}' to ${where.target}`;
      sys.bpf("BPF_PROG_ATTACH", input, { doing, needs: program.needs, subject: program.name });
    } catch (error) {
      release();
      throw error;
    }
    return new UndoLink(context, { ...where, program: program.name }, () => {
      sys.tryBpf("BPF_PROG_DETACH", input);
      release();
    });
  },
};
