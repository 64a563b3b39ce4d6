import { describe, expect, it } from "vitest";
import { VERIFIER_ERRORS } from "../../src/verifier/index.ts";
import { skep } from "./fake-io.ts";

describe("skep explain", () => {
  it.each(["maybe-null", "verifier/maybe-null"])("%s prints the page", async (name) => {
    const { code, out } = await skep(["explain", name]);
    expect(code).toBe(0);
    expect(out).toContain("verifier/maybe-null  Arithmetic on a pointer that may be NULL");
    for (const heading of ["Cause", "Cure", "Example"]) expect(out).toMatch(new RegExp(`^${heading}$`, "m"));
    expect(out).toContain("    if (!v) return 0;");
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });

  it("lists all codes without one", async () => {
    const { code, out } = await skep(["explain"]);
    expect(code).toBe(0);
    for (const name of Object.keys(VERIFIER_ERRORS)) expect(out).toContain(`${name} `);
  });

  it("suggests codes for a name that is none", async () => {
    const { code, err } = await skep(["explain", "null-maybe"]);
    expect(code).toBe(2);
    expect(err).toContain("maybe-null");
    expect((await skep(["explain", "xyzzy"])).err).toContain("skep explain lists all");
  });

  it("is what skep verify and skep run point to", async () => {
    const object = "fixtures/errors/unlock-without-lock.bpf.o";
    const { code, out } = await skep(["verify", object, "--btf", "none"]);
    expect(code).toBe(1);
    expect(out).toContain("skep explain verifier/unlock-without-lock");
    const run = await skep(["run", object, "--hex", "00 11 22 33 44 55 66 77 88 99 aa bb 08 00"]);
    expect(run.err).toContain("skep explain verifier/unlock-without-lock");
    expect(run.err).toContain("pair each unlock with a lock");
  });

  it("--json prints the page's parts", async () => {
    const { out } = await skep(["explain", "packet-bounds", "--json"]);
    expect(JSON.parse(out)).toMatchObject({
      code: "verifier/packet-bounds",
      message: VERIFIER_ERRORS["verifier/packet-bounds"],
      cure: expect.stringContaining("data_end"),
      example: { kind: "asm", type: "BPF_PROG_TYPE_XDP" },
    });
    expect(JSON.parse((await skep(["explain", "--json"])).out)).toHaveLength(
      Object.keys(VERIFIER_ERRORS).length,
    );
  });
});
