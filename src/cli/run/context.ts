import { contextOf } from "../../abi/index.ts";
import { BpfError } from "../../base/index.ts";
import type { Program } from "../../object/index.ts";

/** The member that says which interface a packet came in on, by context structure. */
const IFINDEX_MEMBER: Record<string, string> = { xdp_md: "ingress_ifindex", __sk_buff: "ifindex" };
/** `xdp_md.data_end` must be given as the packet's length (BPF_PROG_TEST_RUN). */
const LENGTH_MEMBER: Record<string, string> = { xdp_md: "data_end" };

/**
 * Makes the context bytes for a packet of a given length: those of `--ctx`, else a fresh structure with the interface
 * of `--ifindex`; undefined when neither is asked for, which means the kernel's defaults.
 */
export function contextBuilder(
  program: Program,
  ctx: Uint8Array | undefined,
  ifindex: number | undefined,
): (packetLength: number) => Uint8Array | undefined {
  if (ctx !== undefined) return () => ctx;
  if (ifindex === undefined) return () => undefined;
  const { struct, size, fields } = contextOf(program.type, program.attachType);
  const place = (members: Record<string, string>) =>
    fields.find((field) => struct !== undefined && field.name === members[struct])?.offset;
  const at = place(IFINDEX_MEMBER);
  if (at === undefined) {
    throw new BpfError("cli/no-interface", `programs of type ${program.type} have no ingress interface`, {
      hint: "leave --ifindex out",
    });
  }
  const lengthAt = place(LENGTH_MEMBER);
  return (packetLength) => {
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(at, ifindex, true);
    if (lengthAt !== undefined) view.setUint32(lengthAt, packetLength, true);
    return new Uint8Array(view.buffer);
  };
}
