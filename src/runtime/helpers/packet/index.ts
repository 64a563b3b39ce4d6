import type { HelperTable, NotImplemented } from "../../helper-call.ts";
import { CSUM_HELPERS } from "./csum.ts";
import { FIB_HELPERS } from "./fib.ts";
import { REDIRECT_HELPERS } from "./redirect.ts";
import { SKB_BYTES_HELPERS } from "./skb-bytes.ts";
import { SKB_META_HELPERS } from "./skb-meta.ts";
import { SKB_SHAPE_HELPERS } from "./skb-shape.ts";
import { SOCKET_HELPERS } from "./sockets.ts";
import { SYNCOOKIE_HELPERS } from "./syncookie.ts";
import { XDP_HELPERS } from "./xdp.ts";

const NO_CONNECTION: NotImplemented = {
  reason: "it stores the TCP connection that a sock_ops program is called for; there are no connections here",
};

/** Helpers about packets, sockets and the network, in families. */
export const PACKET_HELPERS = {
  ...XDP_HELPERS,
  ...SKB_BYTES_HELPERS,
  ...SKB_SHAPE_HELPERS,
  ...SKB_META_HELPERS,
  ...CSUM_HELPERS,
  ...REDIRECT_HELPERS,
  ...SOCKET_HELPERS,
  ...FIB_HELPERS,
  ...SYNCOOKIE_HELPERS,
  sock_map_update: NO_CONNECTION,
  sock_hash_update: NO_CONNECTION,
} as const satisfies Partial<HelperTable>;

export { loadAbsolute } from "./load-absolute.ts";
export {
  ETH_P_IP,
  ETH_P_IPV6,
  IPV4_BYTES,
  IPV6_BYTES,
  protocolAt,
  SK_BUFF,
  SK_BUFF_BYTES,
} from "./sk-buff.ts";
export { BPF_SOCK, BPF_SOCK_BYTES, familyOf, SocketObjects } from "./socket-objects.ts";
export { SELECTED_SOCKET } from "./sockets.ts";
