import { fromHex } from "../base/index.ts";
import { UsageError } from "./command.ts";
import type { Io } from "./io.ts";

const SLOT_BYTES = 8;

/** Instructions given as hex on standard input. @throws UsageError unless they fill whole 8-byte slots. */
export async function codeOnStdin(io: Io): Promise<Uint8Array> {
  const code = fromHex(new TextDecoder().decode(await io.readFile("-")));
  if (code.length === 0 || code.length % SLOT_BYTES !== 0) {
    throw new UsageError(
      `${code.length} bytes of hex are no whole number of instructions`,
      "each instruction has 8 bytes (16 digits)",
    );
  }
  return code;
}
