import { describe, expect, it } from "vitest";
import { BpfError } from "../../base/index.ts";
import { findBinary, type SearchPlaces } from "./find-binary.ts";

/** The part of `/etc/ld.so.cache` that is read: header, entries, names. */
function ldCache(
  entries: readonly { name: string; path: string; flags?: number; hwcap?: bigint }[],
): Uint8Array {
  const encoder = new TextEncoder();
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  bytes.set(encoder.encode("glibc-ld.so.cache1.1"));
  view.setUint32(20, entries.length, true);
  let text = 48 + entries.length * 24;
  const put = (value: string): number => {
    const at = text;
    bytes.set(encoder.encode(value), at);
    text += value.length + 1;
    return at;
  };
  for (const [i, { name, path, flags = 0x0303, hwcap = 0n }] of entries.entries()) {
    view.setUint32(48 + i * 24, flags, true);
    view.setUint32(52 + i * 24, put(name), true);
    view.setUint32(56 + i * 24, put(path), true);
    view.setBigUint64(64 + i * 24, hwcap, true);
  }
  return bytes.subarray(0, text);
}

function places(
  files: readonly string[],
  more: Partial<SearchPlaces> & { data?: Record<string, Uint8Array> } = {},
): SearchPlaces {
  return {
    arch: "x64",
    environment: {},
    usable: (path) => files.includes(path),
    read: (path) => more.data?.[path],
    ...more,
  };
}

describe("findBinary", () => {
  it.each([
    { name: "./a/b", at: places([]), want: "./a/b" },
    { name: "sh", at: places(["/bin/sh"], { environment: { PATH: "/x:/bin" } }), want: "/bin/sh" },
    { name: "sh", at: places(["/usr/bin/sh"]), want: "/usr/bin/sh" },
    {
      name: "libc.so.6",
      at: places(["/lib/x86_64-linux-gnu/libc.so.6"]),
      want: "/lib/x86_64-linux-gnu/libc.so.6",
    },
    { name: "libc.so.6", at: places(["/lib64/libc.so.6", "/lib/libc.so.6"]), want: "/lib64/libc.so.6" },
    {
      name: "liba.so",
      at: places(["/own/liba.so", "/usr/lib/liba.so"], { environment: { LD_LIBRARY_PATH: "/none:/own" } }),
      want: "/own/liba.so",
    },
    {
      name: "libssl.so.3",
      at: places(["/opt/libssl.so.3", "/usr/lib/libssl.so.3"], {
        data: {
          "/etc/ld.so.cache": ldCache([
            { name: "libssl.so.3", path: "/opt32/libssl.so.3", flags: 3 },
            { name: "libssl.so.3", path: "/opt/v3/libssl.so.3", hwcap: 1n << 62n },
            { name: "libssl.so.3", path: "/opt/libssl.so.3" },
          ]),
        },
      }),
      want: "/opt/libssl.so.3",
    },
  ])("finds $name at $want", ({ name, at, want }) => {
    expect(findBinary(name, at)).toBe(want);
  });

  it("prefers what the process has mapped, in its own file system", () => {
    const maps =
      "7f00-7f10 r-xp 00000000 08:01 1 \n7f10-7f20 r-xp 00000000 08:01 12                  /lib/libc.so.6\n";
    const at = places(["/proc/7/root/lib/libc.so.6", "/lib/libc.so.6"], {
      data: { "/proc/7/maps": new TextEncoder().encode(maps) },
    });
    expect(findBinary("libc.so.6", at, 7)).toBe("/proc/7/root/lib/libc.so.6");
    expect(findBinary("libc.so.6", at, 8)).toBe("/lib/libc.so.6");
  });

  it("says what it did not find, also with a damaged cache", () => {
    const damaged = ldCache([{ name: "a", path: "b" }]);
    new DataView(damaged.buffer, damaged.byteOffset).setUint32(20, 0xffff_ffff, true);
    new DataView(damaged.buffer, damaged.byteOffset).setUint32(52, 0xffff_ffff, true);
    for (const cache of [damaged, damaged.subarray(0, 30), new Uint8Array(9)]) {
      const at = places([], { data: { "/etc/ld.so.cache": cache } });
      expect(() => findBinary("libx.so.1", at)).toThrow(BpfError);
    }
    expect(() => findBinary("libc", places([]))).toThrow(/no program 'libc'/);
  });
});
