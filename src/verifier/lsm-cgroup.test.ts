import { describe, expect, it } from "vitest";
import { BtfBuilder } from "../btf/index.ts";
import { assemble } from "../isa/index.ts";
import { type Verdict, Verifier } from "./index.ts";

// A kernel with two hooks in small: one asks, the other tells.
const builder = new BtfBuilder();
const int = builder.int("int", 4);
const hook = (name: string, type: number) =>
  builder.add({
    kind: "func",
    name,
    type: builder.add({ kind: "func_proto", name: "", type, params: [{ name: "a", type: int }] }),
    linkage: "static",
  });
const asking = hook("bpf_lsm_socket_bind", int);
const telling = hook("bpf_lsm_sock_graft", 0);
const kernelBtf = builder.build();

const SET_RETVAL = "r1 = 0x0\ncall 0xbb\nr0 = 0x1\nexit";
const NOTE = "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!";

function judge(text: string, attachBtfId: number): Verdict {
  return new Verifier().verify({
    name: "test",
    type: "BPF_PROG_TYPE_LSM",
    attachType: "BPF_LSM_CGROUP",
    insns: assemble(text).bytes,
    maps: [],
    btf: undefined,
    funcs: [],
    lines: [],
    license: "GPL",
    flags: {},
    kernelBtf,
    attachBtfId,
  });
}

describe("LSM programs of cgroups", () => {
  it("may refuse where the hook asks", () => {
    expect(judge(SET_RETVAL, asking).verdict).toBe("accepted");
    expect(judge("r0 = 0x0\nexit", asking).verdict).toBe("accepted");
  });

  it("replace no result where the hook returns nothing", () => {
    expect(judge(SET_RETVAL, telling)).toMatchObject({ error: { message: NOTE, insn: 1 } });
  });

  it("return 1 where the hook returns nothing, and are told why", () => {
    expect(judge("r0 = 0x1\nexit", telling).verdict).toBe("accepted");
    expect(judge("r0 = 0x0\nexit", telling)).toMatchObject({
      error: {
        lines: [
          "At program exit the register R0 has smin=0 smax=0 should have been in [1, 1]",
          `Note, ${NOTE}`,
        ],
      },
    });
  });
});
