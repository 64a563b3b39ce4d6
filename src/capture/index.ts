export { type CaptureBlock, CaptureDecoder, readCapture } from "./decoder.ts";
export { toEthernet } from "./ethernet.ts";
export { type CapturePacket, LINK_TYPES, type LinkTypeName, linkTypeName } from "./packet.ts";
export { type CaptureWriter, type OutputPacket, pcapngWriter, pcapWriter } from "./writer.ts";
