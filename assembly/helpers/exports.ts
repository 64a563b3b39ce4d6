// Helpers that do their work in wasm: compiled programs call them without leaving it (src/jit/direct-helpers.ts), the
// interpreter through src/runtime/helpers/direct.ts.
export { csumDiff, csumPartial, l3CsumReplace, l4CsumReplace } from "./checksum";
export {
  kernelFault,
  probeReadKernel,
  probeReadKernelStr,
  probeReadUser,
  probeReadUserStr,
  readable,
  strncmp,
} from "./memory";
export {
  skbLoadBytes,
  skbLoadBytesRelative,
  skbPullData,
  skbStoreBytes,
  xdpAdjustHead,
  xdpAdjustMeta,
  xdpAdjustTail,
  xdpGetBuffLen,
  xdpLoadBytes,
  xdpStoreBytes,
} from "./packet";
