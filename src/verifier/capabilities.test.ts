import { describe, expect, it } from "vitest";
import { parseCapabilities, Rights } from "./capabilities.ts";

describe("rights", () => {
  it.each([
    { who: "root", bpf: true, perfmon: true, net: true, boot: true },
    { who: "bpf", bpf: true, perfmon: false, net: false, boot: false },
    { who: "networking", bpf: true, perfmon: false, net: true, boot: false },
    { who: "tracing", bpf: true, perfmon: true, net: false, boot: false },
    { who: "unprivileged", bpf: false, perfmon: false, net: false, boot: false },
    { who: "cap_sys_admin", bpf: true, perfmon: true, net: true, boot: false },
    { who: "cap_bpf,CAP_NET_ADMIN", bpf: true, perfmon: false, net: true, boot: false },
    { who: "perfmon", bpf: false, perfmon: true, net: false, boot: false },
  ])("of $who", ({ who, bpf, perfmon, net, boot }) => {
    const rights = new Rights(parseCapabilities(who));
    expect([
      rights.bpfCapable,
      rights.perfmon,
      rights.has("CAP_NET_ADMIN"),
      rights.has("CAP_SYS_BOOT"),
    ]).toEqual([bpf, perfmon, net, boot]);
  });

  it("names what it does not know", () => {
    expect(() => parseCapabilities("cap_bpf,cap_chown")).toThrow("'cap_chown' is neither");
  });
});
