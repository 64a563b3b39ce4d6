import { ATTACH_TYPES } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { Link } from "../../object/index.ts";
import type { LinuxContext } from "../context.ts";
import { StructOpsMap } from "../load/struct-ops.ts";
import type { Attacher } from "./attacher.ts";
import { BpfLink, UndoLink } from "./link.ts";

/** The variable of a `.struct_ops` or `.struct_ops.link` section; its programs go with it. */
export const structOps: Attacher<"struct-ops"> = {
  attach(context, program, { map }) {
    if (map instanceof StructOpsMap) return attachStructOps(context, map);
    throw new BpfError(
      "linux/no-target",
      `program '${program.name}' is part of a struct_ops variable, which is what attaches`,
      {
        subject: program.name,
        hint: 'attach({ kind: "struct-ops", map }) with the variable out of collection.maps, or attachAll()',
      },
    );
  },
};

/** Makes the kernel use the variable: by a bpf link (Linux 6.4), or until the link takes it back. @throws BpfError `linux/…`. */
export function attachStructOps(context: LinuxContext, map: StructOpsMap): Link {
  const { sys } = context;
  const target = `struct_ops ${map.name}`;
  const facts = {
    doing: `attaching ${target}`,
    needs: ["CAP_BPF", "CAP_NET_ADMIN"],
    subject: map.name,
  } as const;
  const key = new Uint8Array(4);
  sys.bpf("BPF_MAP_UPDATE_ELEM", { mapFd: map.handle, key, value: map.value }, facts);
  const names = { kind: "struct-ops", program: map.name, target } as const;
  if (map.link) {
    const input = { progFd: map.handle, attachType: ATTACH_TYPES.BPF_STRUCT_OPS };
    return new BpfLink(
      context,
      names,
      sys.bpfFd("BPF_LINK_CREATE", input, { ...facts, what: `link of ${target}` }),
    );
  }
  // Until its value is deleted the kernel goes on using it, whoever holds the map.
  const held = sys.duplicate(map.handle);
  const undo = (): void => {
    sys.tryBpf("BPF_MAP_DELETE_ELEM", { mapFd: held, key });
    held.close();
  };
  return new UndoLink(context, names, undo, { outlives: true });
}
