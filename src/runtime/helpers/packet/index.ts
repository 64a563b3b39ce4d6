import type { HelperTable, NotImplemented } from "../../helper-call.ts";
import { CSUM_HELPERS } from "./csum.ts";
import { SKB_BYTES_HELPERS } from "./skb-bytes.ts";
import { SKB_SHAPE_HELPERS } from "./skb-shape.ts";
import { XDP_HELPERS } from "./xdp.ts";

const later: NotImplemented = { reason: "not written yet" };

/** Helpers that work on packets, sockets and routes. Each row that gets its own file leaves the list below. */
export const PACKET_HELPERS = {
  clone_redirect: later,
  skb_get_tunnel_key: later,
  skb_set_tunnel_key: later,
  redirect: later,
  get_route_realm: later,
  skb_get_tunnel_opt: later,
  skb_set_tunnel_opt: later,
  skb_under_cgroup: later,
  get_hash_recalc: later,
  set_hash_invalid: later,
  get_socket_cookie: later,
  get_socket_uid: later,
  set_hash: later,
  redirect_map: later,
  sock_map_update: later,
  skb_get_xfrm_state: later,
  fib_lookup: later,
  sock_hash_update: later,
  skb_cgroup_id: later,
  skb_ancestor_cgroup_id: later,
  sk_lookup_tcp: later,
  sk_lookup_udp: later,
  sk_release: later,
  sk_fullsock: later,
  tcp_sock: later,
  get_listener_sock: later,
  skc_lookup_tcp: later,
  tcp_check_syncookie: later,
  tcp_gen_syncookie: later,
  get_netns_cookie: later,
  sk_assign: later,
  sk_cgroup_id: later,
  sk_ancestor_cgroup_id: later,
  skb_cgroup_classid: later,
  redirect_neigh: later,
  redirect_peer: later,
  check_mtu: later,
  tcp_raw_gen_syncookie_ipv4: later,
  tcp_raw_gen_syncookie_ipv6: later,
  tcp_raw_check_syncookie_ipv4: later,
  tcp_raw_check_syncookie_ipv6: later,
  ...CSUM_HELPERS,
  ...SKB_BYTES_HELPERS,
  ...SKB_SHAPE_HELPERS,
  ...XDP_HELPERS,
} as const satisfies Partial<HelperTable>;
